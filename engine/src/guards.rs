//! Bounds on a script that are checked on its tokens, before it is parsed.
//!
//! Chains such as `a OR b OR …` and `1 + 1 + …` become trees as deep as the chain is long. Parser, planner and workers
//! walk such trees by recursion, and an overflow of the stack would end the whole process.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use windrow_model::{ErrorKind, ErrorReport, format_bytes};

/// Larger scripts carry data, which belongs into a file.
pub const SCRIPT_BYTES_MAX: usize = 16 << 20;

/// Operators between two commas, keywords or parentheses, with those around them. Workers evaluate expressions on
/// threads of ordinary size: a test runs the longest chain on half of a thread's default stack.
pub const OPERATORS_MAX: u32 = 1_000;

/// Joins and set operations of one statement.
pub const RELATIONS_MAX: u32 = 500;

/// Refuses scripts that are too long to keep in memory several times over.
pub fn check_size(script: &str) -> Result<(), ErrorReport> {
    if script.len() <= SCRIPT_BYTES_MAX {
        return Ok(());
    }
    let (size, limit) = (format_bytes(script.len() as u64), format_bytes(SCRIPT_BYTES_MAX as u64));
    Err(ErrorReport::new(
        ErrorKind::Invalid,
        format!("the script has {size}, more than the {limit} that a job may have"),
    )
    .with_hint("put data into a file and read it as a table"))
}

/// Refuses a statement whose tree would be too deep to walk.
pub fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), ErrorReport> {
    let mut depth = Depth { levels: vec![0], total: 0 };
    let mut relations = 0;
    for token in tokens {
        depth.visit(&token.token);
        relations += u32::from(is_relation_operator(&token.token));
        let line = token.span.start.line;
        if depth.total > OPERATORS_MAX {
            return Err(ErrorReport::invalid(format!(
                "the expression at line {line} chains more than {OPERATORS_MAX} operators"
            ))
            .with_hint("write IN (…) instead of a chain of OR, or join with a table of the values"));
        }
        if relations > RELATIONS_MAX {
            return Err(ErrorReport::invalid(format!(
                "the statement combines more than {RELATIONS_MAX} tables (line {line})"
            ))
            .with_hint("split it with CREATE TABLE … AS, or read a folder of files as one table"));
        }
    }
    Ok(())
}

/// Operators that are open at a point: those of the current chain, and of the chains around its parentheses.
struct Depth {
    levels: Vec<u32>,
    total: u32,
}

impl Depth {
    fn visit(&mut self, token: &Token) {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => self.levels.push(0),
            Token::RParen | Token::RBracket | Token::RBrace => {
                self.end_chain();
                if self.levels.len() > 1 {
                    self.levels.pop();
                }
            }
            Token::Comma | Token::SemiColon => self.end_chain(),
            Token::Word(word) if ends_chain(word.keyword) => self.end_chain(),
            Token::Word(word) if is_operator_word(word.keyword) => self.add(),
            Token::Word(_) | Token::Number(..) | Token::Whitespace(_) | Token::EOF => {}
            token if is_operator(token) => self.add(),
            _ => {}
        }
    }

    fn add(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            *level += 1;
            self.total += 1;
        }
    }

    fn end_chain(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.total -= *level;
            *level = 0;
        }
    }
}

fn ends_chain(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        SELECT
            | FROM
            | WHERE
            | GROUP
            | ORDER
            | HAVING
            | QUALIFY
            | ON
            | WHEN
            | THEN
            | ELSE
            | UNION
            | EXCEPT
            | INTERSECT
            | LIMIT
            | VALUES
            | AS
    )
}

fn is_operator_word(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(keyword, AND | OR | NOT | XOR | IS | LIKE | ILIKE | SIMILAR | BETWEEN | COLLATE | DIV | AT)
}

fn is_relation_operator(token: &Token) -> bool {
    use Keyword::*;
    matches!(token, Token::Word(word) if matches!(word.keyword, UNION | EXCEPT | INTERSECT | JOIN))
}

/// Everything that is neither a word nor punctuation nor a literal: `+`, `||`, `->`, `::` and the like.
fn is_operator(token: &Token) -> bool {
    let text = token.to_string();
    !text.is_empty() && text.chars().all(|c| "+-*/%|&^<>=!~:@#?".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens;

    fn check(script: &str) -> Result<(), ErrorReport> {
        check_depth(&tokens(script).unwrap())
    }

    #[test]
    fn long_chains_are_refused_with_a_hint() {
        let ors = format!("SELECT {}", vec!["a = 1"; 20_000].join(" OR "));
        let sums = format!("SELECT {}1", "1+".repeat(20_000));
        let unions = vec!["SELECT 1"; 20_000].join(" UNION ALL ");
        for script in [ors, sums, unions] {
            let report = check(&script).unwrap_err();
            assert_eq!(report.kind, ErrorKind::Invalid);
            assert!(!report.hint.is_empty());
        }
    }

    #[test]
    fn long_lists_are_fine() {
        let rows = vec!["(1 + 2, 'a=b')"; 20_000].join(", ");
        check(&format!("INSERT INTO t VALUES {rows}")).unwrap();
        check(&format!("SELECT * FROM t WHERE a IN ({})", vec!["-1"; 20_000].join(","))).unwrap();
    }

    #[test]
    fn nested_chains_add_up() {
        let inner = vec!["a"; 600].join(" + ");
        check(&format!("SELECT {inner}")).unwrap();
        check(&format!("SELECT {inner} * ({inner})")).unwrap_err();
    }
}
