//! Behaviour from socket events to exchanges.

mod gaps;
mod kit;
mod recorded;
mod semantics;
