//! Each provider by its own rules: the filesystem over the real client, which has the provider's
//! dialect, over the simulated service, which has its rules. The two tables were written apart.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use s3fs::config::Provider;
use s3fs::sim::Rules;
use s3fs::store::dialect::Dialect;

#[path = "providers/by_host.rs"]
mod by_host;
#[path = "providers/cells.rs"]
mod cells;
#[path = "providers/directories.rs"]
mod directories;
#[path = "providers/hazards.rs"]
mod hazards;
#[path = "providers/interleaved.rs"]
mod interleaved;
#[path = "providers/listed.rs"]
mod listed;
#[path = "providers/naive.rs"]
mod naive;
#[path = "providers/refused.rs"]
mod refused;
#[path = "providers/unfinished.rs"]
mod unfinished;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "in_process/world.rs"]
mod world;

use cells::{COLUMNS, Outcome, Row};

/// What a store of these rules is taken for.
fn provider(rules: &Rules) -> Provider {
    match rules.name {
        "ceph 16" => Provider::Ceph,
        "juicefs" => Provider::Minio,
        "moto" => Provider::Other,
        name => Provider::of_name(name).unwrap(),
    }
}

/// The row of a provider: what it does, and what it is taken to do.
fn row(rules: Rules) -> Row {
    let dialect = Dialect::of(provider(&rules));
    Row::new(rules, dialect)
}

/// The providers, and the servers that were seen.
fn everyone() -> Vec<Rules> {
    Rules::all().into_iter().chain(Rules::seen()).collect()
}

/// What a cell says in the table: a word, or a number of the notes below it.
fn shown(outcome: &Outcome, notes: &mut Vec<String>) -> String {
    let Outcome::NotOffered(reason) = outcome else {
        return "pass".to_owned();
    };
    let note = match notes.iter().position(|note| note == reason) {
        Some(at) => at + 1,
        None => {
            notes.push(reason.clone());
            notes.len()
        }
    };
    format!("not offered ({note})")
}

fn print(outcomes: &[(String, Vec<Option<Outcome>>)]) {
    let mut notes = Vec::new();
    let mut lines = vec![
        std::iter::once("provider".to_owned())
            .chain(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))
            .collect::<Vec<_>>(),
    ];
    for (name, cells) in outcomes {
        let mut line = vec![name.clone()];
        for cell in cells {
            line.push(match cell {
                Some(outcome) => shown(outcome, &mut notes),
                None => "FAILED".to_owned(),
            });
        }
        lines.push(line);
    }
    for line in lines {
        println!("matrix | {} |", line.join(" | "));
    }
    for (number, note) in (1..).zip(notes) {
        println!("matrix ({number}) not offered: {note}");
    }
}

#[test]
fn every_provider_passes_every_cell_or_its_document_says_that_it_is_not_offered() {
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for rules in everyone() {
            let outcomes = &outcomes;
            scope.spawn(move || {
                let row = row(rules);
                let cells = COLUMNS.iter().map(|(name, cell)| {
                    let outcome = catch_unwind(AssertUnwindSafe(|| cell(&row)));
                    if outcome.is_err() {
                        println!("{}: {name} failed", row.name());
                    }
                    outcome.ok()
                });
                let line = (row.name().to_owned(), cells.collect::<Vec<_>>());
                outcomes.lock().unwrap().push(line);
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    let order: Vec<&str> = everyone().iter().map(|rules| rules.name).collect();
    outcomes.sort_by_key(|(name, _)| order.iter().position(|known| known == name));
    print(&outcomes);
    assert_eq!(outcomes.len(), order.len());
    for (name, cells) in outcomes {
        assert_eq!(cells.len(), COLUMNS.len());
        assert!(cells.iter().all(Option::is_some), "{name}");
    }
}

#[test]
fn every_provider_of_the_client_has_its_row() {
    for provider in Provider::ALL {
        if provider != Provider::Other {
            let mut all = Rules::all().into_iter();
            assert!(
                all.any(|rules| rules.name == provider.name()),
                "{provider:?}"
            );
        }
    }
}
