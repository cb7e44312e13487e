//! Files that the integration tests have too.

#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../tests/scripted/chance.rs"]
pub mod chance;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../tests/support/judge.rs"]
pub mod judge;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../tests/support/random.rs"]
pub mod random;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../tests/support/wire.rs"]
pub mod wire;
