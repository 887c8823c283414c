//! The attach points.

mod lifecycle;
mod socket_io;
