//! Behaviour of the whole path from socket events to exchanges.

mod gaps;
mod kit;
mod semantics;
mod splits;
mod twins;
