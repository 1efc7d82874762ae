//! The built program end to end: the kernel, real commands, and a store behind a socket. Knows
//! the program's command line and the S3 API, none of its insides but `sim`.

#[path = "e2e/access.rs"]
mod access;
#[path = "e2e/apart.rs"]
mod apart;
#[path = "e2e/attributes.rs"]
mod attributes;
#[path = "e2e/big.rs"]
mod big;
#[path = "e2e/command.rs"]
mod command;
#[path = "e2e/compared.rs"]
mod compared;
#[path = "e2e/copy.rs"]
mod copy;
#[path = "e2e/counting.rs"]
mod counting;
#[path = "e2e/edit.rs"]
mod edit;
#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/forms.rs"]
mod forms;
#[path = "e2e/held.rs"]
mod held;
#[path = "e2e/identity.rs"]
mod identity;
#[path = "e2e/leaving.rs"]
mod leaving;
#[path = "e2e/mapping.rs"]
mod mapping;
#[path = "e2e/mounted.rs"]
mod mounted;
#[path = "e2e/names.rs"]
mod names;
#[path = "e2e/numbers.rs"]
mod numbers;
#[path = "e2e/options.rs"]
mod options;
#[path = "e2e/pair.rs"]
mod pair;
#[path = "e2e/pjdfstest.rs"]
mod pjdfstest;
#[path = "e2e/posix.rs"]
mod posix;
#[path = "servers/real.rs"]
mod real;
#[path = "e2e/reference.rs"]
mod reference;
#[path = "e2e/rig.rs"]
mod rig;
#[path = "e2e/s3fs_fuse.rs"]
mod s3fs_fuse;
#[path = "e2e/servers.rs"]
mod servers;
#[path = "e2e/service.rs"]
mod service;
#[path = "e2e/sharing.rs"]
mod sharing;
#[path = "e2e/shell.rs"]
mod shell;
#[path = "e2e/stalled.rs"]
mod stalled;
#[path = "e2e/store.rs"]
mod store;
#[path = "e2e/survival.rs"]
mod survival;
#[path = "e2e/target.rs"]
mod target;
#[path = "e2e/tools.rs"]
mod tools;
#[path = "e2e/trees.rs"]
mod trees;
#[path = "e2e/upgrade.rs"]
mod upgrade;
#[path = "e2e/users.rs"]
mod users;
