//! Names of files, as clients give them: a name that is safe to store, to show
//! and to put into a header.

use std::fmt;

/// The longest name, in bytes: what file systems take.
const MAX_BYTES: usize = 255;

/// The name of a file: no folder, no control or direction-changing character,
/// at most 255 bytes, never empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Makes a name of whatever a client sent; `file` where nothing is left.
    pub fn sanitise(given: &str) -> Self {
        let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
        let shown: String = last.chars().filter(|c| !is_hidden(*c)).collect();
        let shown = shown.trim_matches(|c: char| c.is_whitespace());
        match shown {
            "" | "." | ".." => Self("file".to_owned()),
            shown => Self(cut(shown)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A `Content-Disposition` that makes browsers save the file under its
    /// name, never open it: in ASCII for those that know no better, and whole
    /// (RFC 6266).
    pub fn attachment(&self) -> String {
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '_' };
        let plain: String =
            self.0.chars().map(plain).map(|c| if "\"\\%".contains(c) { '_' } else { c }).collect();
        let mut whole = String::new();
        for byte in self.0.bytes() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                    whole.push(char::from(byte));
                }
                _ => whole += &format!("%{byte:02X}"),
            }
        }
        format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that nobody sees: controls, and those that turn the direction of
/// writing, by which `gnp.exe` looks like `exe.png`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Cuts a long name in front of its ending.
fn cut(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let short = |ending: &&str| !ending.is_empty() && ending.len() <= 20;
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).filter(short);
    let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
    let room = name.floor_char_boundary(MAX_BYTES - ending.len());
    format!("{}{ending}", &name[..room])
}

/// A content type as clients give it: `type/subtype`, lower-case, without
/// parameters; `application/octet-stream` where it is not of that form.
pub fn content_type(given: &str) -> String {
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match media.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) && media.len() <= 127 => media,
        _ => "application/octet-stream".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_folders_and_what_nobody_sees() {
        for (given, name) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a b.txt", "a b.txt"),
            ("a\r\nSet-Cookie: x=1", "aSet-Cookie: x=1"),
            ("nul\0.txt", "nul.txt"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("Müller \"2\".txt", "Müller \"2\".txt"),
            ("  spaced  ", "spaced"),
            (".profile", ".profile"),
            ("", "file"),
            ("..", "file"),
            ("x/", "file"),
        ] {
            assert_eq!(FileName::sanitise(given).as_str(), name, "{given:?}");
        }
    }

    #[test]
    fn long_names_keep_their_ending() {
        let long = FileName::sanitise(&format!("{}.tar", "ü".repeat(300)));
        assert!(long.as_str().len() <= MAX_BYTES && long.as_str().ends_with("ü.tar"));
        assert!(FileName::sanitise(&"x".repeat(999)).as_str().len() == MAX_BYTES);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let name = FileName::sanitise("a\"; filename=evil.exe\\ü%.txt");
        assert_eq!(
            FileName::sanitise("Ü \"x\"%.txt").attachment(),
            "attachment; filename=\"_ _x__.txt\"; filename*=UTF-8''%C3%9C%20%22x%22%25.txt"
        );
        assert_eq!(name.attachment().matches('"').count(), 2);
        assert!(name.attachment().is_ascii());
    }

    #[test]
    fn only_types_that_are_ones_are_taken() {
        assert_eq!(content_type("Image/PNG; charset=x"), "image/png");
        for odd in ["", "text", "text/", "/x", "text/pl ain", "a/b\r\nc", &"x/y".repeat(60)] {
            assert_eq!(content_type(odd), "application/octet-stream", "{odd}");
        }
    }
}
