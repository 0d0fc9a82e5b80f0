//! `[commands]`: what the head-end may ask for beside the tasks. Without the table, nothing.

use super::findings::Findings;
use super::keys::not_among;
use super::pattern;
use super::plan::{Allowed, Commands};
use super::raw::Section;
use crate::command::Word;
use std::fmt;

/// Reads the table; all of it may be left out.
pub(super) fn read(section: Option<&Section>, findings: &mut Findings) -> Commands {
    let list = section.and_then(|s| s.texts("allow", findings)).map(|list| list.value).unwrap_or_default();
    let mut allow = Vec::with_capacity(list.len());
    for text in list {
        let (word, meters) = match text.value.split_once(':') {
            Some((word, meters)) => (word, Some(meters)),
            None => (text.value.as_str(), None),
        };
        let Some(verb) = Word::parse(word) else {
            findings.fault(&text.here, not_among("allow", word, &Word::ALL.map(Word::text)));
            continue;
        };
        match meters {
            Some(_) if !verb.concerns_meters() => findings.fault(
                &text.here,
                format!("allow: {word} concerns no single meter; write \"{word}\" without a pattern"),
            ),
            Some("") => findings.fault(
                &text.here,
                format!("allow: \"{word}:\" names no meter; write \"{word}:flat-*\", or \"{word}\" for all"),
            ),
            Some(_) | None => allow.push(Allowed { verb, meters: meters.map(str::to_owned) }),
        }
    }
    Commands { allow }
}

/// As it is written: `read:flat-*`.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.text())?;
        self.meters.as_ref().map_or(Ok(()), |meters| write!(f, ":{meters}"))
    }
}

impl Commands {
    /// Whether nothing may be commanded: then no command is listened for.
    pub const fn is_off(&self) -> bool {
        self.allow.is_empty()
    }

    /// Whether a verb may be used at all.
    pub fn allows(&self, verb: Word) -> bool {
        self.allow.iter().any(|allowed| allowed.verb == verb)
    }

    /// Whether a verb may be used on a meter, by its name; an empty name stands for a meter that is in no file.
    pub fn allows_for(&self, verb: Word, meter: &str) -> bool {
        let fits = |allowed: &Allowed| match &allowed.meters {
            Some(pattern) => !meter.is_empty() && pattern::fits(pattern, meter),
            None => true,
        };
        self.allow.iter().any(|allowed| allowed.verb == verb && fits(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(list: &[(Word, Option<&str>)]) -> Commands {
        let one = |(verb, meters): &(Word, Option<&str>)| Allowed {
            verb: *verb,
            meters: meters.map(str::to_owned),
        };
        Commands { allow: list.iter().map(one).collect() }
    }

    #[test]
    fn what_is_not_listed_is_not_allowed() {
        let none = Commands::default();
        assert!(none.is_off());
        assert!(Word::ALL.iter().all(|verb| !none.allows(*verb) && !none.allows_for(*verb, "flat-101")));
    }

    #[test]
    fn a_pattern_allows_its_meters_and_no_stranger() {
        let some = allow(&[(Word::Read, Some("flat-*")), (Word::Raw, None)]);
        assert!(some.allows(Word::Read) && !some.allows(Word::Clock));
        assert!(some.allows_for(Word::Read, "flat-101"));
        assert!(!some.allows_for(Word::Read, "shop-1") && !some.allows_for(Word::Read, ""));
        assert!(some.allows_for(Word::Raw, "shop-1") && some.allows_for(Word::Raw, ""));
        assert!(!some.allows_for(Word::RawWrite, "flat-101"), "reading a frame is no writing");
    }
}
