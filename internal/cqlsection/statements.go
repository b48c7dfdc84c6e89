package cqlsection

// selectPinset finds a column of the pinset's table pins that no other table of that name has.
const selectPinset = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'pins' AND column_name = 'prev'"
