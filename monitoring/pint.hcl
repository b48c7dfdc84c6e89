# What pint demands of alerts beside what it knows of PromQL.
parser {
  include = ["rules/.*.yml"]
}

checks {
  # sloth splits what belongs together into groups.
  disabled = ["rule/dependency"]
}

rule {
  match { kind = "alerting" }
  label "severity" {
    required = true
    value    = "page|ticket"
    severity = "bug"
  }
  annotation "summary" {
    required = true
    severity = "bug"
  }
  annotation "description" {
    required = true
    severity = "bug"
  }
  annotation "runbook_url" {
    required = true
    value    = "https://.+/docs/runbooks/.+\\.md#.+"
    severity = "bug"
  }
  annotation "dashboard_url" {
    required = true
    value    = "/d/.+"
    severity = "bug"
  }
}
