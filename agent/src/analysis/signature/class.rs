//! The classes of attack that signatures tell apart: name, place in OWASP's lists, severity, sentence.
//!
//! One table: what is not in it has no name anywhere else.

use crate::verdict::Severity;

/// A class of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// SQL in a value.
    Sqli,
    /// HTML or script that a browser would run.
    Xss,
    /// A command for a shell.
    CommandInjection,
    /// A file that no caller should name, or a way up the directory tree to it.
    PathTraversal,
    /// An expression of a template engine.
    TemplateInjection,
    /// Operators or script of a document database.
    NosqlInjection,
    /// A filter of a directory service, left early.
    LdapInjection,
    /// An XPath expression, left early.
    XpathInjection,
    /// An XML document that makes its parser read elsewhere.
    Xxe,
    /// A lookup that a logging library would follow (CVE-2021-44228).
    JndiLookup,
    /// A serialised object.
    Deserialisation,
    /// A URL that only the server itself can reach.
    Ssrf,
    /// A line break followed by a header.
    CrlfInjection,
    /// A command of a mail protocol behind a line break.
    MailInjection,
    /// A file or stream that an interpreter would include.
    FileInclusion,
    /// PHP source.
    PhpInjection,
    /// Classes and expressions of the Java platform.
    JavaInjection,
    /// Script for a server: JavaScript, Perl, Python, Ruby.
    CodeInjection,
    /// A directive of server-side includes.
    SsiInjection,
    /// The prototype of all objects.
    PrototypePollution,
    /// A redirect that leaves the site in disguise.
    OpenRedirect,
}

/// What is known about a class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Name in signals and alerts.
    pub(crate) name: &'static str,
    /// Risk of the OWASP API Security Top 10 2023. Injection has none of its own there since 2023: the list folds it into
    /// misconfiguration (API8) and unsafe consumption (API10).
    pub(crate) owasp: &'static str,
    /// Severity of an incident of this class.
    pub(crate) severity: Severity,
}

impl Class {
    /// All classes, in the order of the table.
    pub(crate) const ALL: [Self; 21] = [
        Self::Sqli,
        Self::Xss,
        Self::CommandInjection,
        Self::PathTraversal,
        Self::TemplateInjection,
        Self::NosqlInjection,
        Self::LdapInjection,
        Self::XpathInjection,
        Self::Xxe,
        Self::JndiLookup,
        Self::Deserialisation,
        Self::Ssrf,
        Self::CrlfInjection,
        Self::MailInjection,
        Self::FileInclusion,
        Self::PhpInjection,
        Self::JavaInjection,
        Self::CodeInjection,
        Self::SsiInjection,
        Self::PrototypePollution,
        Self::OpenRedirect,
    ];

    /// What is known about it.
    pub(crate) const fn facts(self) -> Facts {
        use Severity::{Critical, High, Medium};
        let (name, owasp, severity) = match self {
            Self::Sqli => ("sqli", "API8:2023", High),
            Self::Xss => ("xss", "API8:2023", Medium),
            Self::CommandInjection => ("command_injection", "API8:2023", Critical),
            Self::PathTraversal => ("path_traversal", "API8:2023", High),
            Self::TemplateInjection => ("template_injection", "API8:2023", High),
            Self::NosqlInjection => ("nosql_injection", "API8:2023", High),
            Self::LdapInjection => ("ldap_injection", "API8:2023", High),
            Self::XpathInjection => ("xpath_injection", "API8:2023", High),
            Self::Xxe => ("xxe", "API8:2023", High),
            Self::JndiLookup => ("jndi_lookup", "API8:2023", Critical),
            Self::Deserialisation => ("deserialisation", "API8:2023", Critical),
            Self::Ssrf => ("ssrf", "API7:2023", High),
            Self::CrlfInjection => ("crlf_injection", "API8:2023", Medium),
            Self::MailInjection => ("mail_injection", "API8:2023", Medium),
            Self::FileInclusion => ("file_inclusion", "API8:2023", High),
            Self::PhpInjection => ("php_injection", "API8:2023", High),
            Self::JavaInjection => ("java_injection", "API8:2023", High),
            Self::CodeInjection => ("code_injection", "API8:2023", High),
            Self::SsiInjection => ("ssi_injection", "API8:2023", Medium),
            Self::PrototypePollution => ("prototype_pollution", "API3:2023", High),
            Self::OpenRedirect => ("open_redirect", "API8:2023", Medium),
        };
        Facts {
            name,
            owasp,
            severity,
        }
    }

    /// The class of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.facts().name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for class in Class::ALL {
            assert_eq!(Class::of_name(class.facts().name), Some(class));
        }
    }
}
