//! The commands that the runbooks print. `tests/runbooks/` holds the documents'
//! command blocks, and of those that have none the lines that name requests.

/// The documents.
const DOCUMENTS: [(&str, &str); 5] = [
    ("004", include_str!("../../runbooks/004_plm_multi_tenancy.md")),
    ("001", include_str!("../../runbooks/001_crm_platform.md")),
    ("002", include_str!("../../runbooks/002_multi_tenant.md")),
    ("003", include_str!("../../runbooks/003_operator_steps.md")),
    ("000", include_str!("../../runbooks/000_user_manual.md")),
];

/// A printed command.
pub struct Command {
    /// Where it is printed.
    pub document: &'static str,
    /// As printed.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// What a command is.
pub enum Kind {
    /// One `curl`: its method and path.
    Request(String),
    /// A request that a sentence names.
    Named(String),
    /// A whole script.
    Script,
    /// Anything else.
    Other,
}

/// All commands, in the order of the documents.
pub fn commands() -> Vec<Command> {
    let mut found = Vec::new();
    for (document, text) in DOCUMENTS {
        let mut block: Option<String> = None;
        for line in text.lines() {
            match (&mut block, line.trim_start().starts_with("```")) {
                (None, true) => block = Some(String::new()),
                (Some(_), true) => {
                    let block = block.take().expect("a block");
                    found.extend(of_block(document, &block));
                }
                (Some(block), false) => *block += &format!("{line}\n"),
                (None, false) => found.extend(named(document, line)),
            }
        }
    }
    found
}

fn of_block(document: &'static str, block: &str) -> Vec<Command> {
    if block.starts_with("#!") {
        return vec![Command { document, text: block.to_owned(), kind: Kind::Script }];
    }
    let mut commands = Vec::new();
    let mut text = String::new();
    for line in block.lines() {
        if text.is_empty() && (line.trim().is_empty() || line.starts_with('#')) {
            continue;
        }
        text += line;
        // A command goes on behind a backslash and within quotes.
        if line.ends_with('\\') || text.matches('\'').count() % 2 == 1 {
            text.push('\n');
            continue;
        }
        let text = std::mem::take(&mut text);
        let kind = request(&text).map_or(Kind::Other, Kind::Request);
        commands.push(Command { document, text, kind });
    }
    assert!(text.is_empty(), "{document}: {text} does not end");
    commands
}

/// The method and path of a `curl`.
fn request(text: &str) -> Option<String> {
    let text = text.strip_prefix("curl ")?;
    let method = match text.split_once("-X ") {
        Some((_, rest)) => rest.split_whitespace().next().expect("method"),
        None => "GET",
    };
    let url = text.split("http://").nth(1).expect("URL");
    let path = &url[url.find('/').expect("path")..];
    let end = path.find(|c: char| c.is_whitespace() || "\"'?".contains(c)).unwrap_or(path.len());
    Some(format!("{method} {}", &path[..end]))
}

/// The requests that a sentence names in backticks.
fn named(document: &'static str, line: &str) -> Vec<Command> {
    let quoted = line.split('`').skip(1).step_by(2);
    let requests = quoted.filter_map(|text| {
        let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
        let ours = ["/api/", "/healthz", "/readyz"].iter().any(|begin| path.starts_with(begin));
        let request = format!("{method} {path}");
        (ours && !path.contains("...")).then_some(Kind::Named(request))
    });
    requests.map(|kind| Command { document, text: line.to_owned(), kind }).collect()
}
