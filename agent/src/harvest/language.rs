//! The languages that routes are found in.

use super::{Findings, java, javascript, php, python, ruby};

/// How a program is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Flask, FastAPI, Starlette, Django.
    Python,
    /// Express, Fastify, Koa.
    JavaScript,
    /// Rails, Sinatra.
    Ruby,
    /// Laravel, Slim.
    Php,
    /// Spring, JAX-RS, Micronaut.
    Java,
    /// `net/http`, chi, gin, echo, gorilla, fiber: executables, read by [`super::go`].
    Go,
}

impl Language {
    /// By the name of an interpreter's executable.
    pub(super) fn of_interpreter(name: &str) -> Option<Self> {
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        Some(match plain {
            "python" | "pypy" | "gunicorn" | "uvicorn" => Language::Python,
            "node" | "nodejs" | "bun" | "deno" => Language::JavaScript,
            "ruby" | "puma" => Language::Ruby,
            "php" | "php-fpm" => Language::Php,
            "java" => Language::Java,
            _ => return None,
        })
    }

    /// Endings of its files.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Language::Python => &["py"],
            Language::JavaScript => &["js", "mjs", "cjs", "ts"],
            Language::Ruby => &["rb", "ru"],
            Language::Php => &["php"],
            Language::Java => &["class"],
            Language::Go => &[],
        }
    }

    /// What one file says.
    pub(super) fn read(self, bytes: &[u8]) -> Findings {
        let text = || String::from_utf8_lossy(bytes);
        match self {
            Language::Python => python::read(&text()),
            Language::JavaScript => javascript::read(&text()),
            Language::Ruby => ruby::read(&text()),
            Language::Php => php::read(&text()),
            Language::Java => java::class(bytes),
            Language::Go => Findings::default(),
        }
    }
}
