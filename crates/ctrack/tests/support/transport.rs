//! A [`Transport`] without a kernel. Whatever the library sends is kept and answered by a script; when the script has nothing
//! more to say, the transport is silent: it says `TimedOut` at once.

pub use super::wire::{requests_in, Request};

use ctrack::seams::{Received, Transport};
use ctrack::NetnsName;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The port of the scripted socket.
pub const PORT: u32 = 4711;

/// How long the library waits in scripted tests: enough for a loaded machine, short where a test waits for its end.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What one call of `recv` gives.
#[derive(Clone, Debug)]
pub enum Event {
    /// A datagram of the kernel.
    Datagram(Vec<u8>),
    /// A datagram of somebody else.
    Foreign(Vec<u8>, u32),
    /// The first bytes of a datagram that was longer than the buffer.
    Truncated(Vec<u8>),
    /// An errno.
    Errno(i32),
    /// The same over and over.
    Forever(Box<Event>),
}

/// Answers a datagram: gets its number (0 is the first) and its messages.
pub type Answer = Box<dyn FnMut(usize, &[Request]) -> Vec<Event> + Send>;

/// What a test sees of its transport.
#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

pub struct State {
    /// Every datagram that was sent, message by message.
    pub sent: Vec<Vec<Request>>,
    /// What is to be received next.
    pub queue: VecDeque<Event>,
    /// Errnos of the next calls of `send`; 0: it works.
    pub send_errors: VecDeque<i32>,
    /// The longest datagram that is sent: longer ones are refused, as the kernel does where the send buffer is small.
    pub longest: usize,
    /// The number of buckets at each call; the last one stays.
    pub buckets: VecDeque<Option<u64>>,
    /// Whether `reset` works.
    pub can_reset: bool,
    pub resets: usize,
    /// How often it was waited in vain.
    pub timeouts: usize,
    pub panic_in_send: bool,
    pub panic_in_recv: bool,
    pub panic_in_reset: bool,
    received: usize,
    answer: Answer,
}

struct Scripted(Script);

impl Script {
    pub fn new(answer: impl FnMut(usize, &[Request]) -> Vec<Event> + Send + 'static) -> Script {
        Script(Arc::new(Mutex::new(State {
            sent: Vec::new(),
            queue: VecDeque::new(),
            send_errors: VecDeque::new(),
            longest: usize::MAX,
            buckets: VecDeque::from([Some(65536)]),
            can_reset: true,
            resets: 0,
            timeouts: 0,
            panic_in_send: false,
            panic_in_recv: false,
            panic_in_reset: false,
            received: 0,
            answer: Box::new(answer),
        })))
    }

    /// The state. A panic that a test asked for must not spoil the rest of it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The transport for the library.
    pub fn transport(&self) -> Box<dyn Transport> {
        Box::new(Scripted(self.clone()))
    }

    /// All messages that were sent, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state().sent.concat()
    }

    /// How many messages of a type were sent.
    pub fn count_of(&self, kind: u16) -> usize {
        self.requests().iter().filter(|request| request.kind == kind).count()
    }
}

impl Transport for Scripted {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut state = self.0.state();
        let state = &mut *state;
        assert!(!state.panic_in_send, "the script wants a panic in send");
        match state.send_errors.pop_front() {
            None | Some(0) => {}
            Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
        if datagram.len() > state.longest {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let requests = requests_in(datagram);
        let events = (state.answer)(state.sent.len(), &requests);
        state.sent.push(requests);
        state.queue.extend(events);
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Received> {
        let mut state = self.0.state();
        assert!(!state.panic_in_recv, "the script wants a panic in recv");
        state.received += 1;
        assert!(state.received < 5_000_000, "the library does not stop receiving: it hangs");
        let event = match state.queue.pop_front() {
            Some(Event::Forever(event)) => {
                state.queue.push_front(Event::Forever(event.clone()));
                Some(*event)
            }
            event => event,
        };
        let (bytes, sender, more) = match event {
            Some(Event::Datagram(bytes)) => (bytes, 0, 0),
            Some(Event::Foreign(bytes, sender)) => (bytes, sender, 0),
            Some(Event::Truncated(bytes)) => (bytes, 0, buffer.len()),
            Some(Event::Errno(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(Event::Forever(_)) => panic!("for ever within for ever"),
            None => {
                // Looking whether something is there is not waiting.
                state.timeouts += usize::from(Instant::now() < deadline);
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(Received { length: bytes.len() + more, sender })
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn reset(&mut self) -> io::Result<()> {
        let mut state = self.0.state();
        assert!(!state.panic_in_reset, "the script wants a panic in reset");
        state.resets += 1;
        if !state.can_reset {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        state.queue.clear();
        Ok(())
    }

    fn netns(&self) -> NetnsName {
        NetnsName(Some(4_026_531_840))
    }

    fn buckets(&mut self) -> Option<u64> {
        let mut state = self.0.state();
        if state.buckets.len() > 1 {
            state.buckets.pop_front().unwrap_or_default()
        } else {
            state.buckets.front().copied().flatten()
        }
    }
}
