//! Blanks what is not code: comments, strings and characters, so that a scan for braces or names sees code only.

/// `source` with every character of comments, string and character literals replaced by a space. Line ends stay, so that
/// a line number in the result is one in the source.
pub(super) fn code_only(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut masked = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_end(&characters, at);
        match end {
            Some(end) => {
                masked.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                masked.push(characters[at]);
                at += 1;
            }
        }
    }
    masked
}

/// Where the comment or literal that begins at `at` ends; `None` if none begins there.
fn literal_end(text: &[char], at: usize) -> Option<usize> {
    match (text[at], text.get(at + 1)) {
        ('/', Some('/')) => Some(position(text, at, |c| c == '\n')),
        ('/', Some('*')) => Some(block_comment_end(text, at)),
        ('"', _) => Some(string_end(text, at)),
        ('r', Some('"' | '#')) if !continues_name(text, at) => raw_string_end(text, at + 1),
        ('\'', _) => character_end(text, at),
        _ => None,
    }
}

/// True if the character before `at` belongs to the same name (and is not the prefix of a byte or C string).
fn continues_name(text: &[char], at: usize) -> bool {
    let name = |index: usize| text.get(index).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let Some(before) = at.checked_sub(1) else { return false };
    let prefix = matches!(text[before], 'b' | 'c') && !before.checked_sub(1).is_some_and(name);
    name(before) && !prefix
}

fn position(text: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    text[from..].iter().position(|c| is_end(*c)).map_or(text.len(), |offset| from + offset)
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index + 1 < text.len() {
        match (text[index], text[index + 1]) {
            ('/', '*') => (depth, index) = (depth + 1, index + 2),
            ('*', '/') => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn string_end(text: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while index < text.len() {
        match text[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    text.len()
}

/// `hashes` is where the hashes (or the quote) begin. A raw name such as `r#type` has no quote after its hash.
fn raw_string_end(text: &[char], hashes: usize) -> Option<usize> {
    let quote = position(text, hashes, |c| c != '#');
    if text.get(quote) != Some(&'"') {
        return None;
    }
    let count = quote - hashes;
    let closes = |index: usize| {
        text[index] == '"' && text[index + 1..].iter().take(count).filter(|c| **c == '#').count() == count
    };
    let close = (quote + 1..text.len()).find(|index| closes(*index));
    Some(close.map_or(text.len(), |close| close + 1 + count))
}

/// A character literal, not a lifetime: `'a'` closes, `'a` does not.
fn character_end(text: &[char], at: usize) -> Option<usize> {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), Some(_)) => Some((position(text, at + 3, |c| c == '\'') + 1).min(text.len())),
        (Some(_), Some('\'')) => Some(at + 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
