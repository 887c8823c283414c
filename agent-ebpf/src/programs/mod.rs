//! The attach points.

mod existing;
mod function_exit;
mod io_uring;
mod lifecycle;
mod socket_io;
