//! Watching the table: what events, lists and look-ups add up to.

mod engine;
mod follower;
mod table;
mod tombstones;

#[cfg(test)]
mod model;
