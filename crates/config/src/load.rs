//! Layers the sources and turns figment's errors, which quote values, into
//! ours, which do not.

use std::path::Path;

use figment::{
    Figment, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::Dict,
};

use crate::{
    Config, DEFAULT_TOML, Error, Loaded, Problem, Result, check, permissions, variables::Variables,
};

pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded> {
    let defaults = Toml::string(DEFAULT_TOML);
    let variables = Variables::collect(&dict(&defaults)?, variables);
    if !variables.unknown.is_empty() {
        return Err(Error::Invalid { problems: variables.unknown });
    }
    let unused = variables.unused.iter();
    let warnings = unused.map(|name| format!("{name} is not used by this version")).collect();
    let mut figment = Figment::from(defaults);
    if let Some(path) = file {
        let file = Toml::string(&read(path)?);
        check_permissions(path, &dict(&file)?)?;
        figment = figment.merge(file);
    }
    let mut config: Config = figment.merge(variables).extract().map_err(invalid)?;
    config.derive();
    check::check(&config)?;
    Ok(Loaded { config, warnings })
}

fn dict(provider: &impl Provider) -> Result<Dict> {
    let profiles = provider.data().map_err(invalid)?;
    Ok(profiles.into_values().next().unwrap_or_default())
}

fn check_permissions(path: &Path, given: &Dict) -> Result<()> {
    let found = std::fs::metadata(path)
        .map_err(|source| Error::ReadFile { path: path.to_owned(), source })?;
    match permissions::objection(&found, given) {
        Some(rule) => Err(Error::Permissions { path: path.to_owned(), rule }),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::ReadFile { path: path.to_owned(), source })?;
    if let Err(error) = text.parse::<toml::Table>() {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        return Err(Error::ParseFile {
            path: path.to_owned(),
            line: text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1,
            message: error.message().to_owned(),
        });
    }
    Ok(text)
}

fn invalid(error: figment::Error) -> Error {
    let problems = error.into_iter().map(problem).collect();
    Error::Invalid { problems }
}

fn problem(error: figment::Error) -> Problem {
    let key = error.path.join(".");
    match error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            Problem::new(key, format!("must be {expected}"))
        }
        Kind::UnknownField(name, _) => {
            let key = if key.is_empty() { name } else { key };
            Problem::new(key, "is not a known key")
        }
        Kind::UnknownVariant(_, expected) => {
            Problem::new(key, format!("must be {}", expected.join(" or ")))
        }
        Kind::MissingField(name) => Problem::new(name.into_owned(), "is missing"),
        Kind::Message(message) if key == "server" => Problem::new("server.host", rule(&message)),
        _ => Problem::new(key, "cannot be read"),
    }
}

/// `Server` words its own error, which begins with the key.
fn rule(message: &str) -> &str {
    message.strip_prefix("server.host ").unwrap_or("cannot be read")
}
