//! Owns an interpreter of CloudWatch Logs Insights queries, with which tests try the queries of the documentation on
//! recorded lines. It has the part of the language that these use, and panics at anything else.
//!
//! It has `fields`, `display`, `filter`, `sort`, `limit` and `stats count(*) as … by …`; in filters `and`, `or`,
//! parentheses, `=`, `in […]`, `like` with a quoted text or a regular expression without special characters, and
//! `ispresent()`. Fields of JSON lines are discovered as
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html> says: the
//! first 200, nested ones with dots, items of arrays with their number.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::Value;

/// The number of fields of a line that are discovered.
const DISCOVERED: usize = 200;

/// A row of a query's result: fields and their values, without the fields that the line doesn't have.
pub type Row = BTreeMap<String, String>;

/// The result of a query on these lines.
pub fn ask(query: &str, log: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = log.lines().map(discover).collect();
    let mut shown = Vec::new();
    for command in commands(&tokens(query)) {
        let (name, rest) = command.split_first().expect("a command has a name");
        let Token::Word(name) = name else { panic!("{name:?} is no command") };
        match name.as_str() {
            "fields" | "display" => shown = names(rest),
            "filter" => {
                let mut filter = Filter(rest);
                let condition = filter.any();
                assert!(filter.0.is_empty(), "not covered: {:?}", filter.0);
                rows.retain(|row| condition.is_met(row));
            }
            "sort" => {
                let (by, order) = match rest {
                    [by, Token::Word(order)] => (name_of(by), order.as_str()),
                    [by] => (name_of(by), "asc"),
                    _ => panic!("not covered: sort {rest:?}"),
                };
                rows.sort_by(|one, other| compare(one.get(&by), other.get(&by)));
                match order {
                    "asc" => {}
                    "desc" => rows.reverse(),
                    _ => panic!("not covered: sort {order}"),
                }
            }
            "limit" => {
                let [Token::Word(most)] = rest else { panic!("not covered: limit {rest:?}") };
                rows.truncate(most.parse().expect("a number"));
            }
            "stats" => rows = count(&rows, rest),
            other => panic!("not covered: {other}"),
        }
    }
    if !shown.is_empty() {
        rows.iter_mut().for_each(|row| row.retain(|name, _| shown.contains(name)));
    }
    rows
}

/// The fields of a line.
fn discover(line: &str) -> Row {
    let mut fields = vec![("@message".to_owned(), line.to_owned())];
    if let Ok(document @ Value::Object(_)) = serde_json::from_str::<Value>(line) {
        // CloudWatch takes the time of a line from this field.
        if let Some(at) = document["timestamp"].as_str() {
            fields.push(("@timestamp".to_owned(), at.to_owned()));
        }
        let mut found = Vec::new();
        flatten(String::new(), &document, line, &mut found);
        // Fields are discovered in the order of the text, which a `Value` does not keep.
        found.sort_by_key(|(place, ..)| *place);
        fields.extend(found.into_iter().take(DISCOVERED).map(|(_, name, value)| (name, value)));
    }
    fields.into_iter().collect()
}

/// Adds the fields of a value, with the approximate position of the outermost one in the line.
fn flatten(name: String, value: &Value, line: &str, found: &mut Vec<(usize, String, String)>) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| flatten(below(key), value, line, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| flatten(below(&index.to_string()), value, line, found));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let top = name.split('.').next().unwrap_or_default();
            let place = line.find(&format!("\"{top}\":")).unwrap_or_default();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            found.push((place, name, text));
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A text in quotes, or a regular expression without special characters.
    Text(String),
    Sign(char),
}

fn tokens(query: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), query.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '"' | '\'' | '`' | '/' => {
                let end = rest.get(1..).and_then(|text| text.find(first)).expect("a text that ends");
                let text = rest.get(1..=end).unwrap_or_default().to_owned();
                if first == '/' {
                    assert!(!text.contains(|c: char| r".*+?()[]{}|^$\".contains(c)), "not covered: /{text}/");
                }
                (if first == '`' { Token::Word(text) } else { Token::Text(text) }, end + 2)
            }
            '|' | ',' | '=' | '(' | ')' | '[' | ']' => (Token::Sign(first), 1),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "|,=()[]\"'`/".contains(c)).unwrap_or(rest.len());
                assert!(end > 0, "not covered: {rest}");
                let word = rest.get(..end).unwrap_or_default();
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._*".contains(c);
                assert!(word.chars().all(is_plain), "not covered: {word}");
                (Token::Word(word.to_owned()), end)
            }
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens
}

fn commands(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.split(|token| *token == Token::Sign('|')).filter(|command| !command.is_empty())
}

fn name_of(token: &Token) -> String {
    match token {
        Token::Word(name) => name.clone(),
        Token::Text(_) | Token::Sign(_) => panic!("{token:?} is no field"),
    }
}

/// The names in a list.
fn names(tokens: &[Token]) -> Vec<String> {
    tokens
        .split(|token| *token == Token::Sign(','))
        .map(|item| match item {
            [name] => name_of(name),
            _ => panic!("not covered: {item:?}"),
        })
        .collect()
}

fn compare(one: Option<&String>, other: Option<&String>) -> Ordering {
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<f64>().ok());
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.cmp(&other),
    }
}

/// `count(*) as NAME by FIELD, …`
fn count(rows: &[Row], rest: &[Token]) -> Vec<Row> {
    let word = |text: &str| Token::Word(text.to_owned());
    let (head, by) = rest.split_at_checked(7).unwrap_or_else(|| panic!("not covered: stats {rest:?}"));
    let [count, open, star, close, r#as, name, keyword] = head else { panic!("not covered: stats {rest:?}") };
    let expect = [word("count"), Token::Sign('('), word("*"), Token::Sign(')'), word("as"), word("by")];
    assert_eq!([count, open, star, close, r#as, keyword].map(Clone::clone), expect, "not covered: stats {rest:?}");
    let by = names(by);
    let mut counts = BTreeMap::<Row, usize>::new();
    for row in rows {
        let group = by.iter().filter_map(|name| Some((name.clone(), row.get(name)?.clone()))).collect();
        *counts.entry(group).or_default() += 1;
    }
    let with_count = |(mut row, count): (Row, usize)| {
        row.insert(name_of(name), count.to_string());
        row
    };
    counts.into_iter().map(with_count).collect()
}

#[derive(Debug)]
enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Is(String, Vec<String>),
    Contains(String, String),
    IsPresent(String),
}

impl Condition {
    fn is_met(&self, row: &Row) -> bool {
        match self {
            Self::Any(conditions) => conditions.iter().any(|condition| condition.is_met(row)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.is_met(row)),
            Self::Is(name, values) => row.get(name).is_some_and(|value| values.contains(value)),
            Self::Contains(name, text) => row.get(name).is_some_and(|value| value.contains(text)),
            Self::IsPresent(name) => row.contains_key(name),
        }
    }
}

/// The tokens of a filter that are not read yet.
struct Filter<'a>(&'a [Token]);

impl Filter<'_> {
    fn next(&mut self) -> Token {
        let (first, rest) = self.0.split_first().expect("a filter that ends");
        self.0 = rest;
        first.clone()
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.0.first() == Some(token);
        if is_next {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn expect(&mut self, sign: char) {
        assert!(self.take(&Token::Sign(sign)), "{sign} is missing before {:?}", self.0);
    }

    fn any(&mut self) -> Condition {
        let mut conditions = vec![self.all()];
        while self.take(&Token::Word("or".to_owned())) {
            conditions.push(self.all());
        }
        Condition::Any(conditions)
    }

    fn all(&mut self) -> Condition {
        let mut conditions = vec![self.one()];
        while self.take(&Token::Word("and".to_owned())) {
            conditions.push(self.one());
        }
        Condition::All(conditions)
    }

    fn one(&mut self) -> Condition {
        if self.take(&Token::Sign('(')) {
            let condition = self.any();
            self.expect(')');
            return condition;
        }
        let name = name_of(&self.next());
        if name == "ispresent" {
            self.expect('(');
            let name = name_of(&self.next());
            self.expect(')');
            return Condition::IsPresent(name);
        }
        match self.next() {
            Token::Sign('=') => Condition::Is(name, vec![self.value()]),
            Token::Word(word) if word == "like" => Condition::Contains(name, self.value()),
            Token::Word(word) if word == "in" => {
                self.expect('[');
                let mut values = vec![self.value()];
                while self.take(&Token::Sign(',')) {
                    values.push(self.value());
                }
                self.expect(']');
                Condition::Is(name, values)
            }
            other @ (Token::Sign(_) | Token::Word(_) | Token::Text(_)) => panic!("not covered: {name} {other:?}"),
        }
    }

    fn value(&mut self) -> String {
        match self.next() {
            Token::Text(text) | Token::Word(text) => text,
            sign @ Token::Sign(_) => panic!("{sign:?} is no value"),
        }
    }
}
