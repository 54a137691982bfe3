//! What the README shows is what the program prints.

mod common;

use common::{Program, done, repository};

/// Lines without what follows the probability, the milliseconds.
fn without_times(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split_once('%').map_or(line, |(answer, _)| answer).trim_end()).collect()
}

#[test]
fn the_first_example_prints_what_the_readme_shows() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```text\n").expect("the output of the first example");
    let (shown, _) = rest.split_once("```").expect("the output's end");
    let mut command = Program::new().command(&["classify", "samples/sneaker.png", "--top", "3"]);
    let printed = done(command.current_dir(repository()).output().unwrap());
    assert_eq!(without_times(&printed.stdout), without_times(shown), "{}", printed.stderr);
}
