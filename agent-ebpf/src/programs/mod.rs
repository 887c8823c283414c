//! The attach points.

mod exec;
mod existing;
mod function_exit;
mod io_uring;
mod lifecycle;
mod socket_io;
mod tls_library;
