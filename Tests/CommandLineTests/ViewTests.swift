import Testing

@testable import CommandLine

@Suite struct ViewTests {
    @Test func `an experiment shows its fields, variants and cohorts`() throws {
        let json = """
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"HERO","name":"Hero",
            "status":"winner_declared","resourceVersion":3,"parentId":"DEFAULT"},
            "spec":{"subjectType":"ANY","hypothesis":"","winningVariant":"B",
            "links":{"jira":"https://x"},
            "variants":[{"id":"A","isControl":true,"name":"Old"},{"id":"B","isControl":false}],
            "cohorts":[{"index":1,"variants":[{"variant":"A","split":1}]},
            {"index":2,"variants":[{"variant":"A","split":0.3333},{"variant":"B","split":0.6667}]}]}}
            """
        let resource = try ServerJSON.decode(Resource.self, from: json.utf8)
        #expect(
            ResourceView(resource, isColourful: false).text == """
                experiment/HERO  winner_declared
                  name:          Hero
                  lab:           DEFAULT
                  subject type:  ANY
                  winner:        B
                  link jira:     https://x
                  version:       3

                VARIANT           NAME  DESCRIPTION
                A        control  Old
                B        winner

                COHORT  CREATED  A       B
                1                100%    -
                2                33.33%  66.67%

                """)
    }

    @Test func `history tells each field before and after`() throws {
        let json = """
            {"position":7,"at":"2026-01-02T03:04:05.678901Z","actor":"key/ci",
            "type":"ExperimentUpdated","stream":"experiment/HERO","entity":"experiment/HERO",
            "summary":"name changed","before":{"name":"A","spec":{"x":1,"z":null,"gone":true}},
            "after":{"name":"B b","spec":{"x":1,"y":[1,0.5]}}}
            """
        let entry = try ServerJSON.decode(History.Entry.self, from: json.utf8)
        #expect(
            entry.text(isColourful: false) == """
                2026-01-02T03:04:05.678901Z  #7  key/ci  ExperimentUpdated  experiment/HERO
                  name changed
                    name: A → "B b"
                    spec.gone: true → (none)
                    spec.y: [1, 0.5]
                """)
    }

    @Test func `what came into being shows all its fields`() {
        let after = JSONValue.object(["name": .string("N"), "splits": .array([.number(0.5)])])
        #expect(
            Difference.between(.null, after) == [
                Difference.Change(path: "name", before: nil, after: .string("N")),
                Difference.Change(path: "splits", before: nil, after: .array([.number(0.5)])),
            ])
    }
}
