//! Behaviour of the whole path from socket events to exchanges.

mod accounts;
mod conformance;
mod gaps;
mod hostile;
mod kit;
mod properties;
mod semantics;
mod speed;
mod splits;
mod told;
mod translated;
mod twins;
