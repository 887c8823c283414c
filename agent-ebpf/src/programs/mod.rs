//! The attach points.

mod exec;
mod existing;
mod function_exit;
mod go_tls;
mod io_uring;
mod lifecycle;
mod socket_io;
mod tls_library;
