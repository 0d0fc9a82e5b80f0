//! Patterns of names: `*` stands for any characters, `?` for one.

/// True if the whole name fits the pattern.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                p = at + 1;
                n = reach + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// True if it is more than a plain name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_one() {
        for (pattern, name) in [
            ("flat-*", "flat-101"),
            ("*", ""),
            ("a*b*c", "aXbYbZc"),
            ("?号楼", "3号楼"),
            ("flat-101", "flat-101"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("flat-*", "shop-1"), ("?", ""), ("?", "ab"), ("a*b", "abc"), ("", "a"), ("Flat*", "flat1")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
