//! The attach points.

mod existing;
mod function_exit;
mod go_tls;
mod io_uring;
mod lifecycle;
mod process;
mod rustls;
mod socket_io;
mod tls_library;
