//! Reads what `#[derive(Debug)]` writes back into a tree.

/// A value as its `Debug` form shows it. Places in the text are left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `Name { field: value, … }`
    Struct(String, Vec<(String, Node)>),
    /// `Name(value, …)`; a name alone has no values.
    Tuple(String, Vec<Node>),
    List(Vec<Node>),
    /// Anything else: a number, a text.
    Leaf(String),
}

/// Nodes that tell places, not meaning.
const PLACES: &[&str] = &["Span", "AttachedToken", "TokenWithSpan"];

struct Reader<'t> {
    text: &'t str,
}

/// Reads the `Debug` form of a value.
///
/// # Panics
/// The text is no such form.
pub fn parse(text: &str) -> Node {
    let mut reader = Reader { text };
    let node = reader.value();
    assert!(reader.text.is_empty(), "left over: {}", reader.text);
    node
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.text = self.text.trim_start();
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip();
        match self.text.strip_prefix(token) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Node {
        self.skip();
        let node = match self.text.chars().next() {
            Some('[') => {
                self.text = &self.text[1..];
                Node::List(self.values(']'))
            }
            Some('(') => {
                self.text = &self.text[1..];
                Node::Tuple(String::new(), self.values(')'))
            }
            Some('"') => Node::Leaf(self.quoted('"')),
            Some('\'') => Node::Leaf(self.quoted('\'')),
            Some(c) if c.is_alphabetic() || c == '_' => self.named(),
            _ => Node::Leaf(String::new()),
        };
        // Whatever else stands before the next comma or bracket belongs to a leaf.
        let rest = self.raw();
        match (node, rest.trim()) {
            (node, "") => node,
            (Node::Leaf(text), rest) => Node::Leaf(text + rest),
            (node, rest) => Node::Leaf(format!("{node:?}{rest}")),
        }
    }

    fn named(&mut self) -> Node {
        let end = self.text.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = self.text.split_at(end.unwrap_or(self.text.len()));
        self.text = rest;
        let node = if self.eat('{') {
            let mut fields = Vec::new();
            while !self.eat('}') {
                self.skip();
                let (field, rest) = self.text.split_once(':').unwrap_or((self.text, ""));
                self.text = rest;
                fields.push((field.trim().to_string(), self.value()));
                self.eat(',');
            }
            Node::Struct(name.to_string(), fields)
        } else if self.eat('(') {
            Node::Tuple(name.to_string(), self.values(')'))
        } else {
            Node::Tuple(name.to_string(), Vec::new())
        };
        if PLACES.contains(&name) { Node::Leaf(String::new()) } else { node }
    }

    fn values(&mut self, end: char) -> Vec<Node> {
        let mut values = Vec::new();
        while !self.eat(end) {
            assert!(!self.text.is_empty(), "{end} is missing");
            values.push(self.value());
            self.eat(',');
        }
        values
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut escaped = false;
        for (index, c) in self.text.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    let (text, rest) = self.text.split_at(index + 1);
                    let text = text.to_string();
                    self.text = rest;
                    return text;
                }
                _ => {}
            }
        }
        panic!("{quote} is missing: {}", self.text)
    }

    /// Text up to the next comma or closing bracket at this depth.
    fn raw(&mut self) -> String {
        let mut depth = 0usize;
        let mut end = self.text.len();
        for (index, c) in self.text.char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ',' | ')' | ']' | '}' if depth == 0 => {
                    end = index;
                    break;
                }
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
        }
        let (text, rest) = self.text.split_at(end);
        let text = text.to_string();
        self.text = rest;
        text
    }
}

#[test]
fn debug_forms_are_read() {
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Whole {
        name: &'static str,
        some: Option<i32>,
        list: Vec<Result<char, f64>>,
        unit: (),
    }
    let whole =
        Whole { name: "a \"b\", c", some: Some(-1), list: vec![Ok(','), Err(0.5)], unit: () };
    let leaf = |text: &str| Node::Leaf(text.to_string());
    let tuple = |name: &str, values: Vec<Node>| Node::Tuple(name.to_string(), values);
    assert_eq!(
        parse(&format!("{whole:?}")),
        Node::Struct(
            "Whole".to_string(),
            vec![
                ("name".to_string(), leaf("\"a \\\"b\\\", c\"")),
                ("some".to_string(), tuple("Some", vec![leaf("-1")])),
                (
                    "list".to_string(),
                    Node::List(vec![
                        tuple("Ok", vec![leaf("','")]),
                        tuple("Err", vec![leaf("0.5")])
                    ])
                ),
                ("unit".to_string(), tuple("", vec![])),
            ]
        )
    );
}
