//! Reading the pages of the contract, for the test that holds them against the lists.

/// The tests that a page names, each with its clause: a clause is a heading that ends with its name in code, a test is the
/// code that begins an item below it.
pub(super) fn tests_by_clause(page: &str) -> Vec<(String, String)> {
    let code = |line: &str| line.split('`').nth(1).map(str::to_owned);
    let (mut clause, mut tests) = (None, Vec::new());
    for line in page.lines() {
        if line.starts_with("## ") {
            clause = code(line);
        } else if line.starts_with("- `")
            && let (Some(clause), Some(test)) = (&clause, code(line))
        {
            tests.push((clause.clone(), test));
        }
    }
    tests
}
