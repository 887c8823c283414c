//! Routes of Java applications: annotations of Spring, JAX-RS and Micronaut, in the class files of their archives.
//!
//! In: archives and classes. Out: [`Findings`] with whole paths: the prefix of a class is put before those of its methods
//! here. What is not in the annotations is not known: functional routes, context paths and prefixes from configuration.

mod class;
mod jar;
mod paths;

use super::{Findings, Found};
use class::{Annotation, Class};
pub(super) use jar::{MAX_ARCHIVE_BYTES, read as archive};

/// The routes of one class file.
pub(super) fn class(bytes: &[u8]) -> Findings {
    let mut findings = Findings::default();
    let routes = class::read(bytes).map(|class| routes(&class)).unwrap_or_default();
    findings.routes = finish(routes, "");
    findings
}

/// A route, and whether it stands below the path of a JAX-RS application.
struct Route {
    method: Option<&'static str>,
    path: String,
    is_jax: bool,
}

/// Annotations that are routes, by the end of their type, with the method they stand for.
const SPRING: [(&str, &str); 5] = [
    ("GetMapping", "GET"),
    ("PostMapping", "POST"),
    ("PutMapping", "PUT"),
    ("DeleteMapping", "DELETE"),
    ("PatchMapping", "PATCH"),
];
const MICRONAUT: [(&str, &str); 7] = [
    ("Get", "GET"),
    ("Post", "POST"),
    ("Put", "PUT"),
    ("Delete", "DELETE"),
    ("Patch", "PATCH"),
    ("Head", "HEAD"),
    ("Options", "OPTIONS"),
];
const JAX: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Packages of the annotations, as descriptors begin.
const SPRING_PACKAGE: &str = "Lorg/springframework/web/bind/annotation/";
const MICRONAUT_PACKAGE: &str = "Lio/micronaut/http/annotation/";
const JAX_PACKAGES: [&str; 2] = ["Ljavax/ws/rs/", "Ljakarta/ws/rs/"];

/// What a class must name to have routes.
const PACKAGES: [&[u8]; 4] = [
    b"Lorg/springframework/web/bind/annotation/",
    b"Lio/micronaut/http/annotation/",
    b"Ljavax/ws/rs/",
    b"Ljakarta/ws/rs/",
];

/// All routes of a class.
fn routes(class: &Class) -> Vec<Route> {
    // A client of another service describes that one.
    let is_client = |annotation: &Annotation| {
        annotation.kind.ends_with("/FeignClient;") || annotation.kind.ends_with("/client/annotation/Client;")
    };
    if class.annotations.iter().any(is_client) {
        return Vec::new();
    }
    let mut routes = Vec::new();
    for annotations in &class.methods {
        spring(class, annotations, &mut routes);
        micronaut(class, annotations, &mut routes);
        jax(class, annotations, &mut routes);
    }
    routes
}

fn spring(class: &Class, annotations: &[Annotation], routes: &mut Vec<Route>) {
    let name = |annotation: &Annotation| annotation.named(SPRING_PACKAGE).map(str::to_owned);
    let prefixes = class
        .annotations
        .iter()
        .find(|annotation| annotation.named(SPRING_PACKAGE) == Some("RequestMapping"))
        .map_or_else(
            || vec![String::new()],
            |annotation| annotation.paths(&["value", "path"]),
        );
    for annotation in annotations {
        let Some(name) = name(annotation) else {
            continue;
        };
        let methods: Vec<Option<&'static str>> = match SPRING.iter().find(|(known, _)| *known == name) {
            Some((_, method)) => vec![Some(*method)],
            None if name == "RequestMapping" => {
                let given: Vec<_> = JAX
                    .into_iter()
                    .filter(|method| annotation.choices.iter().any(|choice| choice == method))
                    .map(Some)
                    .collect();
                if given.is_empty() { vec![None] } else { given }
            }
            None => continue,
        };
        for prefix in &prefixes {
            for path in annotation.paths(&["value", "path"]) {
                routes.extend(methods.iter().map(|method| Route {
                    method: *method,
                    path: paths::join(prefix, &path),
                    is_jax: false,
                }));
            }
        }
    }
}

fn micronaut(class: &Class, annotations: &[Annotation], routes: &mut Vec<Route>) {
    let controller = class
        .annotations
        .iter()
        .find(|annotation| annotation.named(MICRONAUT_PACKAGE) == Some("Controller"));
    let Some(controller) = controller else {
        return;
    };
    for annotation in annotations {
        let name = annotation.named(MICRONAUT_PACKAGE);
        let Some((_, method)) = MICRONAUT.iter().find(|(known, _)| Some(*known) == name) else {
            continue;
        };
        for prefix in controller.paths(&["value"]) {
            for path in annotation.paths(&["value", "uri", "uris"]) {
                routes.push(Route {
                    method: Some(method),
                    path: paths::join(&prefix, &path),
                    is_jax: false,
                });
            }
        }
    }
}

fn jax(class: &Class, annotations: &[Annotation], routes: &mut Vec<Route>) {
    let named = |annotation: &Annotation| {
        let mut packages = JAX_PACKAGES.iter();
        packages.find_map(|package| annotation.named(package).map(str::to_owned))
    };
    let path = |annotations: &[Annotation]| {
        let mut found = annotations.iter();
        let found = found.find(|annotation| named(annotation).as_deref() == Some("Path"));
        found.map(|annotation| annotation.paths(&["value"]))
    };
    let Some(prefixes) = path(&class.annotations) else {
        return;
    };
    let own = path(annotations).unwrap_or_else(|| vec![String::new()]);
    for annotation in annotations {
        let Some(method) = named(annotation).and_then(|name| JAX.into_iter().find(|known| *known == name))
        else {
            continue;
        };
        for prefix in &prefixes {
            routes.extend(own.iter().map(|path| Route {
                method: Some(method),
                path: paths::join(prefix, path),
                is_jax: true,
            }));
        }
    }
}

/// The path that all JAX-RS resources of an application stand below, if a class says so.
fn application(class: &Class) -> Option<String> {
    let annotation = class.annotations.iter().find(|annotation| {
        JAX_PACKAGES
            .iter()
            .any(|package| annotation.named(package) == Some("ApplicationPath"))
    })?;
    annotation.paths(&["value"]).into_iter().next()
}

/// Routes as the table takes them; those whose paths are not known as a whole are left out.
fn finish(routes: Vec<Route>, application: &str) -> Vec<Found> {
    routes
        .into_iter()
        .filter_map(|route| {
            let whole = match route.is_jax {
                true => paths::join(application, &route.path),
                false => route.path,
            };
            Some(Found {
                method: route.method.map(str::to_owned),
                path: paths::template(&whole)?,
                router: String::new(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
