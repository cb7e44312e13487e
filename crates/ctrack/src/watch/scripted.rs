//! Single steps of a watch, over a kernel that says what it is told to say and writes down what it is asked: rules that the model
//! (`model.rs`) does not miss, since a later list or look-up makes up for them.

use super::engine::{Aim, Engine, Source, Step, Task, Told, What};
use super::follower::{Answer, Ear, EventFlags, Follower, Origin, Report, Suspect};
use super::model::{encoded, flow};
use crate::error::Error;
use crate::selection::Selection;
use ctnetlink::consts::*;
use ctnetlink::event::EventKind;
use ctnetlink::types::*;
use std::time::Duration;

/// What was told, as kind, mark and flags.
type Heard = Vec<(EventKind, u32, EventFlags)>;

fn with(mark: u32, status: Status) -> Entry {
    Entry { id: 7, mark, status, ..flow(0) }
}

fn alive(mark: u32) -> Entry {
    with(mark, Status::CONFIRMED)
}

fn dying(mark: u32) -> Entry {
    with(mark, Status::CONFIRMED | Status::DYING)
}

fn hears(work: impl FnOnce(&mut Ear<'_>) -> Result<(), Error>) -> Heard {
    let (selection, mut heard) = (Selection::default(), Heard::new());
    let tell = &mut |report: Report<'_>| heard.push((report.kind, report.entry.mark, report.flags));
    work(&mut Ear { selection: &selection, tell }).unwrap();
    heard
}

fn event(follower: &mut Follower, kind: EventKind, entry: &Entry) -> Heard {
    hears(|ear| follower.event(kind, entry, Origin::default(), Duration::from_secs(10), ear))
}

fn follower() -> Follower {
    Follower::new(&Selection::default(), 0)
}

const NONE: EventFlags = EventFlags::empty();

#[test]
fn what_is_said_of_one_that_is_dying_is_no_news_and_no_suspicion() {
    for kind in [EventKind::New, EventKind::Update] {
        let mut follower = follower();
        assert_eq!(event(&mut follower, kind, &dying(1)), []);
        assert_eq!((follower.suspects().len(), follower.len()), (0, 0), "{kind:?}");
        assert_eq!(event(&mut follower, EventKind::New, &alive(1)), [(EventKind::New, 1, NONE)]);
        assert_eq!(event(&mut follower, kind, &dying(2)), []);
        assert_eq!((follower.suspects().len(), follower.len()), (0, 1), "{kind:?}");
        assert_eq!(event(&mut follower, EventKind::Destroy, &dying(3)), [(EventKind::Destroy, 3, NONE)]);
    }
}

#[test]
fn one_that_is_listed_as_dying_is_not_new_and_not_changed_but_asked_for() {
    let mut follower = follower();
    follower.begin_list();
    assert_eq!(hears(|ear| follower.listed(&dying(1), ear)), []);
    assert_eq!((follower.suspects().len(), follower.len()), (0, 0));
    assert_eq!(hears(|ear| follower.listed(&alive(1), ear)), [(EventKind::New, 1, EventFlags::INITIAL)]);
    follower.begin_list();
    assert_eq!(hears(|ear| follower.listed(&dying(2), ear)), []);
    assert_eq!((follower.suspects().len(), follower.len()), (1, 1));
    // It is on the list: its DESTROY is queued, and has what only that says.
    let mut place = follower.len();
    let swept = hears(|ear| {
        follower.sweep(&mut place, ear);
        Ok(())
    });
    assert_eq!(swept, []);
    assert_eq!(event(&mut follower, EventKind::Destroy, &dying(3)), [(EventKind::Destroy, 3, NONE)]);
    // With another id it is somebody else, of whom nothing was told.
    assert_eq!(hears(|ear| follower.listed(&Entry { id: 8, ..dying(1) }, ear)), []);
    assert_eq!(follower.len(), 0);
}

#[test]
fn in_the_first_seconds_a_new_one_is_asked_for_and_afterwards_it_is_told() {
    let mut doubtful = follower();
    doubtful.joined(Duration::from_secs(9));
    assert_eq!(event(&mut doubtful, EventKind::New, &alive(1)), []);
    assert_eq!((doubtful.suspects().len(), doubtful.len()), (1, 0), "its DESTROY may have been heard by nobody");
    assert_eq!(hears(|ear| doubtful.checked(&Answer::Gone, ear)), []);
    doubtful.queue_was_empty(Duration::from_secs(60)).unwrap();
    // The doubt is over, and what comes is news.
    assert_eq!(event(&mut doubtful, EventKind::New, &alive(2)), [(EventKind::New, 2, NONE)]);
}

#[test]
fn in_the_first_seconds_the_end_of_one_that_is_known_may_be_that_of_a_predecessor_with_its_id() {
    let listed = |since: u64| {
        let mut follower = follower();
        follower.joined(Duration::from_secs(since));
        follower.begin_list();
        assert_eq!(hears(|ear| follower.listed(&alive(1), ear)), [(EventKind::New, 1, EventFlags::INITIAL)]);
        follower.queue_was_empty(Duration::from_secs(10)).unwrap();
        follower
    };
    let mut doubtful = listed(9);
    assert_eq!(event(&mut doubtful, EventKind::Destroy, &dying(2)), []);
    assert_eq!((doubtful.suspects().len(), doubtful.len()), (1, 1));
    assert_eq!(hears(|ear| doubtful.checked(&Answer::Alive(alive(1)), ear)), [], "it was his");
    assert_eq!(doubtful.len(), 1);
    assert_eq!(event(&mut doubtful, EventKind::Destroy, &dying(3)), []);
    assert_eq!(hears(|ear| doubtful.checked(&Answer::Gone, ear)), [(EventKind::Destroy, 3, NONE)]);
    let mut sure = listed(1);
    assert_eq!(event(&mut sure, EventKind::Destroy, &dying(2)), [(EventKind::Destroy, 2, NONE)]);
}

/// A kernel that does what it is told.
#[derive(Default)]
struct Script {
    /// What it was asked, in order.
    calls: Vec<String>,
    /// What each list has.
    lists: Vec<Vec<Entry>>,
    listed: usize,
    /// Events that are queued when the list of this number is read.
    queued: Vec<(usize, EventKind, Entry)>,
    /// The drop counter, by the number of the list at whose end it is read.
    drops: Vec<u32>,
    now: Duration,
}

impl Source for Script {
    fn enable(&mut self) -> Result<(), Error> {
        self.calls.push("enable".into());
        Ok(())
    }

    fn keep(&mut self, _: &Task) -> Result<(), Error> {
        self.calls.push("keep".into());
        Ok(())
    }

    fn join(&mut self, group: u32) -> Result<(), Error> {
        self.calls.push(format!("join {group}"));
        Ok(())
    }

    fn leave(&mut self, group: u32) -> Result<(), Error> {
        self.calls.push(format!("leave {group}"));
        Ok(())
    }

    fn read(&mut self, _: usize, hear: &mut dyn FnMut(&[u8], Option<i32>)) -> Result<bool, Error> {
        let list = self.listed;
        self.queued.retain(|(when, kind, entry)| {
            if *when == list {
                hear(&encoded(*kind, entry), None);
            }
            *when != list
        });
        Ok(true)
    }

    fn drops(&mut self) -> Result<(u32, bool), Error> {
        self.calls.push("drops".into());
        Ok((self.drops.get(self.listed).or(self.drops.last()).copied().unwrap_or(0), false))
    }

    fn begin_list(&mut self, _: &Selection) -> Result<(), Error> {
        self.calls.push("list".into());
        Ok(())
    }

    fn list(&mut self, _: &Selection, hear: &mut dyn FnMut(&Entry) -> Result<(), Error>) -> Result<bool, Error> {
        let list = self.lists.get(self.listed).or(self.lists.last()).cloned().unwrap_or_default();
        self.listed += 1;
        list.iter().try_for_each(hear)?;
        Ok(true)
    }

    fn look_up(&mut self, suspects: &[Suspect], answers: &mut Vec<Answer>) -> Result<(), Error> {
        self.calls.push("look up".into());
        let list = self.lists.get(self.listed - 1).or(self.lists.last()).cloned().unwrap_or_default();
        answers.extend(suspects.iter().map(|suspect| {
            let is_it = |entry: &&Entry| entry.orig == suspect.entry.orig && entry.reply == suspect.entry.reply;
            list.iter().find(is_it).map_or(Answer::Gone, |entry| Answer::Alive(*entry))
        }));
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn clock(&self) -> u64 {
        1
    }

    fn events_mode(&mut self) -> Option<u8> {
        Some(1)
    }
}

impl Script {
    fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|called| *called == call).count()
    }
}

fn engine(most: usize) -> Engine {
    let aim = Aim { sync: true, most, ..Aim::default() };
    Engine::new(Task { aim, selection: Selection::default() })
}

/// Steps until there is nothing more to do, or so many. What was told, and how often an error was.
fn run(engine: &mut Engine, script: &mut Script, steps: usize) -> (Vec<Told>, Vec<Error>) {
    let (mut told, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..steps {
        let step = engine.step(script);
        engine.hand_over(usize::MAX, &mut |one| told.push(*one));
        match step {
            Ok(Step::Again) => {}
            Ok(Step::Until(time)) => script.now = time,
            Ok(Step::Idle) => break,
            Err(error) => errors.push(error),
        }
    }
    (told, errors)
}

fn whats(told: &[Told]) -> Vec<What> {
    told.iter().map(|told| told.what).collect()
}

const NEW: What = What::Entry(EventKind::New);
const DESTROY: What = What::Entry(EventKind::Destroy);

#[test]
fn ends_are_heard_before_changes_and_these_before_beginnings_and_the_drop_counter_is_read_before_all() {
    for sync in [true, false] {
        let mut script = Script::default();
        let aim = Aim { sync, ..Aim::default() };
        let mut engine = Engine::new(Task { aim, selection: Selection::default() });
        engine.begin(&mut script, false).unwrap();
        let joins = [NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_NEW];
        let mut wanted = vec!["drops".to_owned()];
        wanted.extend(joins.map(|group| format!("join {group}")));
        let from = script.calls.iter().position(|call| call == "drops").unwrap();
        assert_eq!(script.calls[from..from + 4], wanted);
        // What keeps entries reporting is there before anything is left or joined; the list comes last.
        assert_eq!(script.calls[0], "keep");
        assert_eq!(script.calls.last().unwrap() == "list", sync);
    }
}

#[test]
fn what_is_lost_while_listing_is_made_up_by_another_list_before_anything_is_said_to_be_in_step() {
    let mut script = Script { lists: vec![vec![alive(1)], vec![alive(2)]], drops: vec![0, 3], ..Script::default() };
    let mut engine = engine(0);
    engine.begin(&mut script, false).unwrap();
    let (told, errors) = run(&mut engine, &mut script, 100);
    assert_eq!(errors.len(), 0);
    assert_eq!(whats(&told), [NEW, What::Entry(EventKind::Update), What::Synced]);
    assert_eq!((script.count("list"), engine.sums.restarts, engine.sums.lost), (2, 1, 3));
    // It is no loss of what was told: that begins with the list.
    assert!(engine.is_synced);
}

#[test]
fn those_that_went_make_room_for_those_that_came() {
    let flows: [Entry; 3] = [0, 1, 2].map(|number| Entry { id: 10 + u32::from(number), ..flow(number) });
    let [one, two, three] = flows;
    // Two may be known. A third one came, then the first ones go, unheard.
    let lists = vec![vec![one, two], vec![one, two, three], vec![one, two, three], vec![three], vec![three]];
    let mut script = Script { lists, ..Script::default() };
    let mut engine = engine(2);
    engine.begin(&mut script, false).unwrap();
    let (told, errors) = run(&mut engine, &mut script, 100);
    assert_eq!((whats(&told), errors.len()), (vec![NEW, NEW, What::Synced], 0));
    engine.resync();
    let (told, errors) = run(&mut engine, &mut script, 1000);
    assert_eq!(whats(&told), [DESTROY, DESTROY, NEW, What::Synced]);
    // Two lists were too long: that is said once.
    assert!(matches!(errors[..], [Error::Full { most: 2, .. }]), "{errors:?}");
    assert_eq!((engine.entries(), engine.is_synced), (1, true));
}

#[test]
fn a_list_that_is_too_long_only_for_those_that_went_is_no_error() {
    let [one, two, three] = [0, 1, 2].map(|number| Entry { id: 10 + u32::from(number), ..flow(number) });
    let mut script = Script { lists: vec![vec![one, two], vec![two, three]], ..Script::default() };
    let mut engine = engine(2);
    engine.begin(&mut script, false).unwrap();
    run(&mut engine, &mut script, 100);
    engine.resync();
    let (told, errors) = run(&mut engine, &mut script, 1000);
    assert_eq!((whats(&told), errors.len()), (vec![DESTROY, NEW, What::Synced], 0));
    assert_eq!(told[0].entry.id, one.id);
    assert_eq!((engine.entries(), engine.is_synced), (2, true));
}

#[test]
fn what_is_heard_while_listing_is_heeded_after_it() {
    let lists = vec![vec![alive(1)]];
    let queued = vec![(1, EventKind::Update, alive(2)), (1, EventKind::Destroy, dying(2))];
    let mut script = Script { lists, queued, ..Script::default() };
    let mut engine = engine(0);
    engine.begin(&mut script, false).unwrap();
    let (told, errors) = run(&mut engine, &mut script, 100);
    // In the first seconds the kernel is asked, which has it still, as it was: so its end is not told.
    assert_eq!(errors.len(), 0);
    assert_eq!(whats(&told), [NEW, What::Entry(EventKind::Update), What::Synced]);
    assert_eq!(told[1].entry.mark, 1);
    assert_eq!(script.count("look up"), 1);
}

#[test]
fn what_was_queued_before_a_start_is_not_told_after_it() {
    for sync in [false, true] {
        let queued = vec![(0, EventKind::New, alive(1)), (0, EventKind::New, alive(2))];
        let mut script = Script { queued, drops: vec![5], ..Script::default() };
        let aim = Aim { sync, ..Aim::default() };
        let mut engine = Engine::new(Task { aim, selection: Selection::default() });
        engine.begin(&mut script, false).unwrap();
        let (told, errors) = run(&mut engine, &mut script, 100);
        assert_eq!((whats(&told), errors.len()), (if sync { vec![What::Synced] } else { vec![] }, 0));
        assert_eq!((engine.sums.received, engine.sums.lost), (0, 0));
    }
}

#[test]
fn what_the_kernel_could_not_send_is_told_in_its_place_with_a_list_and_without() {
    for sync in [false, true] {
        let mut script = Script { lists: vec![vec![alive(1)]], drops: vec![5], ..Script::default() };
        let aim = Aim { sync, ..Aim::default() };
        let mut engine = Engine::new(Task { aim, selection: Selection::default() });
        engine.begin(&mut script, false).unwrap();
        let before = if sync { vec![NEW, What::Synced] } else { Vec::new() };
        assert_eq!(whats(&run(&mut engine, &mut script, 100).0), before);
        script.drops = vec![8];
        let (told, errors) = run(&mut engine, &mut script, 100);
        assert_eq!((told.first().map(|told| told.what), errors.len()), (Some(What::Lost(Some(3))), 0), "sync: {sync}");
        assert_eq!(engine.sums.lost, 3);
    }
}
