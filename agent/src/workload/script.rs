//! Which program an interpreter runs.
//!
//! In: the executable's file name and the argument vector. Out: the script, module or jar, as written there.
//! Each interpreter is a row of [`INTERPRETERS`]: which of its flags take a value, which name a module, which
//! carry code. Refuses to guess past an unknown flag's value: such a flag is taken as a switch.

/// How one interpreter reads its command line.
struct Interpreter {
    /// File name without a version: `python` stands for `python3.12` too.
    name: &'static str,
    /// Flags whose value is the next argument.
    valued: &'static [&'static str],
    /// Flags whose value is what is run: a module, a jar.
    program: &'static [&'static str],
    /// Flags whose value is code: nothing to name.
    code: &'static [&'static str],
    /// Words before the script.
    subcommands: &'static [&'static str],
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        name: "python",
        valued: &["-W", "-X", "--check-hash-based-pycs"],
        program: &["-m"],
        code: &["-c"],
        subcommands: &[],
    },
    Interpreter {
        name: "pypy",
        valued: &["-W", "-X"],
        program: &["-m"],
        code: &["-c"],
        subcommands: &[],
    },
    Interpreter {
        name: "node",
        valued: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
        ],
        program: &[],
        code: &["-e", "--eval", "-p", "--print", "-pe"],
        subcommands: &[],
    },
    Interpreter {
        name: "nodejs",
        valued: &["-r", "--require", "--import", "--loader"],
        program: &[],
        code: &["-e", "--eval", "-p", "--print"],
        subcommands: &[],
    },
    Interpreter {
        name: "bun",
        valued: &["-r", "--preload", "--cwd", "-c", "--config", "--env-file"],
        program: &[],
        code: &["-e", "--eval", "-p", "--print"],
        subcommands: &["run", "x"],
    },
    Interpreter {
        name: "deno",
        valued: &[
            "-c",
            "--config",
            "--import-map",
            "--lock",
            "--cert",
            "-L",
            "--log-level",
        ],
        program: &[],
        code: &["eval"],
        subcommands: &["run", "serve"],
    },
    Interpreter {
        name: "ruby",
        valued: &["-I", "-r", "-C", "-E"],
        program: &[],
        code: &["-e"],
        subcommands: &[],
    },
    Interpreter {
        name: "perl",
        valued: &["-I"],
        program: &[],
        code: &["-e", "-E"],
        subcommands: &[],
    },
    Interpreter {
        name: "php",
        valued: &[
            "-c",
            "-d",
            "-z",
            "-t",
            "-S",
            "--docroot",
            "--server",
            "--define",
            "--php-ini",
        ],
        program: &["-f", "--file"],
        code: &["-r", "--run"],
        subcommands: &[],
    },
    Interpreter {
        name: "java",
        valued: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--patch-module",
            "--upgrade-module-path",
        ],
        program: &["-jar", "-m", "--module"],
        code: &[],
        subcommands: &[],
    },
    Interpreter {
        name: "dotnet",
        valued: &[
            "--additionalprobingpath",
            "--additional-deps",
            "--depsfile",
            "--fx-version",
            "--runtimeconfig",
        ],
        program: &[],
        code: &[],
        subcommands: &["exec"],
    },
    SHELL,
    Interpreter {
        name: "bash",
        valued: &["-o", "-O", "--rcfile", "--init-file"],
        ..SHELL
    },
    Interpreter {
        name: "dash",
        ..SHELL
    },
    Interpreter { name: "zsh", ..SHELL },
    Interpreter { name: "ksh", ..SHELL },
];

const SHELL: Interpreter = Interpreter {
    name: "sh",
    valued: &["-o"],
    program: &[],
    code: &["-c"],
    subcommands: &[],
};

/// The script, module, class or jar that `arguments` (with the program's own name first) make the executable
/// called `executable` run; `None` if it is no interpreter, or runs code from its command line or its input.
pub(super) fn script<'a>(executable: &str, arguments: &'a [String]) -> Option<&'a str> {
    let interpreter = find(executable)?;
    let (own_name, mut rest) = arguments.split_first()?;
    if find(file_name(own_name)).is_none() && rest.is_empty() {
        // A server that renamed its process: `gunicorn: master [app:app]`, `puma 6.4 (tcp://…) [app]`.
        return own_name
            .split([':', ' '])
            .next()
            .filter(|title| !title.is_empty() && *title != executable);
    }
    let mut subcommand_allowed = true;
    while let Some((argument, tail)) = rest.split_first() {
        rest = tail;
        let is = |flags: &[&str]| flags.contains(&argument.as_str());
        if is(interpreter.program) {
            return tail.first().map(String::as_str);
        }
        if is(interpreter.code) || argument == "-" {
            return None;
        }
        if is(interpreter.valued) {
            rest = tail.get(1..).unwrap_or_default();
        } else if argument == "--" {
            return tail.first().map(String::as_str);
        } else if subcommand_allowed && is(interpreter.subcommands) {
            subcommand_allowed = false;
        } else if !argument.starts_with('-') && !argument.is_empty() {
            // `-cfoo` and `--flag=value` carry their values; `@file` is an argument file of java.
            return (!argument.starts_with('@')).then_some(argument.as_str());
        }
    }
    None
}

fn find(executable: &str) -> Option<&'static Interpreter> {
    let stem = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS
        .iter()
        .find(|interpreter| interpreter.name == stem || interpreter.name == executable)
}

/// What follows the last slash.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_script(line: &str, expected: Option<&str>) {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let executable = file_name(&arguments[0]).to_owned();
        assert_eq!(script(&executable, &arguments), expected, "{line}");
    }

    #[test]
    fn scripts_modules_and_jars() {
        assert_script("python3 app.py --port 80", Some("app.py"));
        assert_script(
            "/usr/bin/python3.11 -u -W ignore /srv/app.py",
            Some("/srv/app.py"),
        );
        assert_script("python3 -m http.server 8000", Some("http.server"));
        assert_script(
            "python /usr/local/bin/gunicorn app:app -w 4",
            Some("/usr/local/bin/gunicorn"),
        );
        assert_script(
            "node --require ./trace.js --max-old-space-size=512 server.js",
            Some("server.js"),
        );
        assert_script("ruby -I lib bin/rails server", Some("bin/rails"));
        assert_script("perl -w -T app.pl", Some("app.pl"));
        assert_script("php8.2 -d memory_limit=1G artisan serve", Some("artisan"));
        assert_script("php -S 127.0.0.1:80 router.php", Some("router.php"));
        assert_script(
            "java -Xmx1g -cp lib/a.jar:lib/b.jar -Dx=y com.example.Main arg",
            Some("com.example.Main"),
        );
        assert_script("java -jar /opt/shop.jar --server.port=80", Some("/opt/shop.jar"));
        assert_script("bash -e run.sh", Some("run.sh"));
        assert_script("deno run --allow-net main.ts", Some("main.ts"));
        assert_script("bun run index.ts", Some("index.ts"));
        assert_script("dotnet exec Shop.dll", Some("Shop.dll"));
        assert_script("node -- server.js", Some("server.js"));
    }

    #[test]
    fn nothing_to_name() {
        assert_script("python3 -c pass", None);
        assert_script("python3", None);
        assert_script("python3 -", None);
        assert_script("bash -c ./server", None);
        assert_script("node -e 1", None);
        assert_script("node -r", None);
        assert_script("nginx app.py", None);
        assert_script("java @args", None);
        assert_eq!(script("python3", &[]), None);
    }

    #[test]
    fn renamed_processes() {
        let title = |text: &str| vec![text.to_owned()];
        assert_eq!(
            script("python3.11", &title("gunicorn: master [app:app]")),
            Some("gunicorn")
        );
        assert_eq!(
            script("ruby", &title("puma 6.4.0 (tcp://0.0.0.0:80) [shop]")),
            Some("puma")
        );
        assert_eq!(script("python3", &title("")), None);
    }
}
