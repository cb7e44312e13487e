//! A strict little JSON reader: an object as a flat map from path to value.

use std::collections::BTreeMap;

/// The members of the object that `text` is: "orig.src" for nested ones, lists as their items joined by spaces.
///
/// Fails the test on anything that is not JSON, and on a name that comes twice.
pub fn flat(text: &str) -> BTreeMap<String, String> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let mut members = BTreeMap::new();
    reader.object("", &mut members);
    assert_eq!(reader.at, text.len(), "something follows the object: {text}");
    members
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self, wanted: u8) {
        let text = String::from_utf8_lossy(self.text);
        assert_eq!(char::from(self.next()), char::from(wanted), "at byte {} of {text}", self.at);
        self.at += 1;
    }

    fn object(&mut self, path: &str, members: &mut BTreeMap<String, String>) {
        self.take(b'{');
        loop {
            let name = format!("{path}{}", self.string());
            self.take(b':');
            match self.next() {
                b'{' => self.object(&format!("{name}."), members),
                b'[' => {
                    let items = self.list();
                    assert!(members.insert(name, items.join(" ")).is_none());
                }
                _ => {
                    let value = self.scalar();
                    assert!(members.insert(name, value).is_none());
                }
            }
            if self.next() == b'}' {
                return self.take(b'}');
            }
            self.take(b',');
        }
    }

    fn list(&mut self) -> Vec<String> {
        self.take(b'[');
        let mut items = Vec::new();
        while self.next() != b']' {
            if !items.is_empty() {
                self.take(b',');
            }
            items.push(self.scalar());
        }
        self.take(b']');
        items
    }

    fn scalar(&mut self) -> String {
        if self.next() == b'"' {
            return self.string();
        }
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = String::from_utf8_lossy(&self.text[self.at..self.at + digits]).into_owned();
        // JSON allows no leading zeros.
        assert!(number == "0" || !number.is_empty() && !number.starts_with('0'), "a number at byte {}", self.at);
        self.at += digits;
        number
    }

    /// With the escapes that the library writes, and no others.
    fn string(&mut self) -> String {
        self.take(b'"');
        let mut text = Vec::new();
        loop {
            match self.next() {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    let escaped = self.next();
                    self.at += 1;
                    match escaped {
                        b'"' | b'\\' => text.push(escaped),
                        b'u' => {
                            let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
                            let number = u32::from_str_radix(&String::from_utf8_lossy(digits), 16).unwrap();
                            let char = char::from_u32(number).unwrap();
                            text.extend(char.encode_utf8(&mut [0; 4]).bytes());
                            self.at += 4;
                        }
                        other => panic!("\\{} at byte {}", char::from(other), self.at),
                    }
                }
                byte => {
                    assert!(byte >= b' ', "a control character at byte {}", self.at);
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.take(b'"');
        String::from_utf8(text).unwrap()
    }
}
