//! Classes as the compiler of the machine makes them, and hostile ones.

use std::{fs, path::Path, process::Command};

use super::*;

/// Compiles sources, with stand-ins for the annotations of the frameworks; `None` where there is no compiler.
fn compiled(directory: &Path) -> Option<()> {
    let annotation = |package: &str, name: &str, body: &str| {
        let path = directory.join("src").join(package.replace('.', "/"));
        fs::create_dir_all(&path).expect("a directory");
        let text = format!(
            "package {package};\nimport java.lang.annotation.*;\n@Retention(RetentionPolicy.RUNTIME)\n\
             public @interface {name} {{ {body} }}\n"
        );
        fs::write(path.join(format!("{name}.java")), text).expect("a file");
    };
    let spring = "org.springframework.web.bind.annotation";
    let paths = "String[] value() default {}; String[] path() default {};";
    for name in ["GetMapping", "PostMapping", "DeleteMapping"] {
        annotation(spring, name, paths);
    }
    annotation(
        spring,
        "RequestMapping",
        "String[] value() default {}; String[] path() default {}; RequestMethod[] method() default {};",
    );
    let methods = directory.join("src/org/springframework/web/bind/annotation/RequestMethod.java");
    fs::write(
        methods,
        format!("package {spring};\npublic enum RequestMethod {{ GET, PUT, PATCH }}\n"),
    )
    .expect("a file");
    for name in ["Path", "ApplicationPath"] {
        annotation("jakarta.ws.rs", name, "String value();");
    }
    annotation("jakarta.ws.rs", "GET", "");
    annotation("jakarta.ws.rs", "POST", "");
    annotation(
        "io.micronaut.http.annotation",
        "Controller",
        "String value() default \"/\";",
    );
    annotation(
        "io.micronaut.http.annotation",
        "Get",
        "String value() default \"\"; String[] uris() default {};",
    );
    let source = "package shop;\n\
        import org.springframework.web.bind.annotation.*;\n\
        @RequestMapping(\"/v1/orders\")\n\
        public class Orders {\n\
          static final long NUMBER = 1234567890123L; static final double SHARE = 0.5;\n\
          @GetMapping(\"/{orderId:[0-9]+}\") public String one(long id) { return \"\"; }\n\
          @PostMapping public String make(String body) { return body; }\n\
          @DeleteMapping(path = {\"/{orderId}\", \"/by-name/{name}\"}) public void drop(String name) { }\n\
          @RequestMapping(value = \"/{orderId}/state\", method = {RequestMethod.PUT, RequestMethod.PATCH})\n\
          public void change() { }\n\
          @GetMapping(\"${orders.path}/x\") public void configured() { }\n\
        }\n\
        @jakarta.ws.rs.Path(\"users\") class Users {\n\
          @jakarta.ws.rs.GET @jakarta.ws.rs.Path(\"{id}/files/{path: .+}\") public String file() { return null; }\n\
          @jakarta.ws.rs.POST public void make() { }\n\
        }\n\
        @jakarta.ws.rs.ApplicationPath(\"/api\") class Application { }\n\
        @io.micronaut.http.annotation.Controller(\"/books\") class Books {\n\
          @io.micronaut.http.annotation.Get(\"/{isbn}{?page}\") public String book() { return null; }\n\
        }\n";
    fs::create_dir_all(directory.join("src/shop")).expect("a directory");
    fs::write(directory.join("src/shop/Orders.java"), source).expect("a file");
    let compiler = Command::new("javac")
        .args(["-d", "classes", "-sourcepath", "src", "src/shop/Orders.java"])
        .current_dir(directory)
        .status();
    compiler.is_ok_and(|status| status.success()).then_some(())
}

/// Whether a tool of the JDK is missing. Where CI promises one that is no excuse.
fn skipped() {
    assert!(std::env::var_os("CI").is_none(), "javac is not installed");
    println!("skipped: javac is not installed: run `cargo xtask setup --for test`");
}

fn lines(findings: Findings) -> Vec<String> {
    let mut lines: Vec<String> = findings
        .routes
        .into_iter()
        .map(|route| format!("{} {}", route.method.unwrap_or_else(|| "*".into()), route.path))
        .collect();
    lines.sort();
    lines
}

#[test]
fn annotations_in_a_compiled_archive_are_routes() {
    let directory = tempfile::tempdir().expect("a directory");
    if compiled(directory.path()).is_none() {
        return skipped();
    }
    let pack = |arguments: &[&str]| {
        let status = Command::new("jar")
            .args(arguments)
            .current_dir(directory.path())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "jar {arguments:?}");
    };
    pack(&["cf", "shop.jar", "-C", "classes", "."]);
    // As Spring Boot packs it: classes of the application in a directory of their own, a script in front.
    fs::create_dir_all(directory.path().join("boot/BOOT-INF")).expect("a directory");
    fs::rename(
        directory.path().join("classes"),
        directory.path().join("boot/BOOT-INF/classes"),
    )
    .expect("a move");
    pack(&["cf", "plain.jar", "-C", "boot", "."]);
    let mut script = b"#!/bin/bash\nexec java -jar \"$0\"\n".to_vec();
    script.extend(fs::read(directory.path().join("plain.jar")).expect("an archive"));
    fs::write(directory.path().join("boot.jar"), script).expect("a file");
    for name in ["shop.jar", "boot.jar"] {
        let file = std::fs::File::open(directory.path().join(name)).expect("an archive");
        let length = file.metadata().expect("a length").len();
        assert_eq!(
            lines(archive(&file, length)),
            [
                "DELETE /v1/orders/by-name/{name}",
                "DELETE /v1/orders/{orderId}",
                "GET /api/users/{id}/files/{*path}",
                "GET /books/{isbn}",
                "GET /v1/orders/{orderId}",
                "PATCH /v1/orders/{orderId}/state",
                "POST /api/users",
                "POST /v1/orders",
                "PUT /v1/orders/{orderId}/state",
            ],
            "{name}"
        );
    }
}

#[test]
fn any_beginning_of_a_class_or_archive_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    if compiled(directory.path()).is_none() {
        return skipped();
    }
    let bytes = fs::read(directory.path().join("classes/shop/Orders.class")).expect("a class");
    for end in 0..bytes.len() {
        assert!(class(&bytes[..end]).routes.len() <= 8);
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0xff;
        assert!(class(&damaged).routes.len() <= 64);
    }
    let path = directory.path().join("bad.jar");
    for content in [
        &b""[..],
        b"PK\x05\x06",
        b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
    ] {
        fs::write(&path, content).expect("a file");
        let file = std::fs::File::open(&path).expect("a file");
        assert_eq!(archive(&file, content.len() as u64), Findings::default());
    }
}
