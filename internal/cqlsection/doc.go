// Package cqlsection opens the keyspace of a program that has one of its own, such as the
// gateway: it has the section of the configuration that says where the database is, and makes
// or checks the tables. Which files the schema has, the program says.
//
// Promised: a DB that Open returns has all tables of the program's version. A keyspace that
// belongs to an ipfs-cluster or to another program is refused before anything in it was
// changed: tables of one name are in several.
package cqlsection
