//! The text of one file of a bundle, as migrations are made from it.

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its name, without directories.
    pub(crate) name: String,
    /// Its text, without a byte order mark, line ends as `\n`: a checkout on
    /// another system does not change a checksum.
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { name: name.to_owned(), text: text.replace("\r\n", "\n") }
    }
}
