import JSON
import Testing

@Suite struct ListTests {
    @Test(arguments: [1, 3, 7, 100])
    func `cursors walk every list exactly once`(limit: Int) async throws {
        try await ServedLedger.run { ledger async throws in
            let documents = (0..<7).flatMap { number in
                ["lab", "subjecttype"].map {
                    #"{"schemaVersion":1,"kind":"\#($0)","metadata":{"id":"g-\#(number)"}}"#
                } + [
                    #"""
                    {"schemaVersion":1,"kind":"experiment","metadata":{"id":"e_\#(number)",
                    "status":"active"},"spec":{"variants":[{"id":"a"}],"cohorts":[{"index":1,
                    "variants":[{"variant":"a","split":1}]}]}}
                    """#
                ]
            }
            _ = try await ledger.apply("[\(documents.joined(separator: ","))]")
            let subjects = ["a", "b/c", "%", "é", "🧪", "A", "z z"]
            let list = JSONValue.array(subjects.map { .string($0) }).encoded
            try await ledger.send(
                "POST", "/v1/experiments/e_1/assignments",
                #"{"subjects":\#(String(decoding: list, as: UTF8.self))}"#)
            for (path, key, count) in [
                ("/v1/labs", nil, 8), ("/v1/subjecttypes", nil, 8), ("/v1/experiments", nil, 7),
                ("/v1/experiments/e_1/assignments", "subject", 7),
                ("/v1/experiments/e_1/history", "position", 4),
                ("/v1/audit", "position", Int(ledger.log.view.position)),
            ] as [(String, String?, Int)] {
                let whole = try await ledger.get("\(path)?limit=10000")
                #expect(whole.items.count == count && whole["next"] == .null, "\(path)")
                var walked: [JSONValue] = []
                var cursor: String? = ""
                while let next = cursor {
                    let page = try await ledger.get(
                        "\(path)?limit=\(limit)" + (next.isEmpty ? "" : "&cursor=\(next.part)"))
                    #expect(page.items.count <= limit && page.status == 200)
                    walked += page.items
                    cursor = walked.count > count ? nil : page["next"]?.string
                }
                #expect(walked == whole.items, "\(path) \(key ?? "id")")
            }
        }
    }

    @Test func `experiments can be listed by lab and status`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.winner)
            for (query, count) in [
                ("lab=marketing", 1), ("lab=default", 0), ("status=winner_declared", 1),
                ("status=draft&lab=marketing", 0),
            ] {
                #expect(try await ledger.get("/v1/experiments?\(query)").items.count == count)
            }
            for odd in ["status=x", "lab=a%20b", "limit=x", "cursor=%2F"] {
                let answer = try await ledger.get("/v1/experiments?\(odd)")
                #expect(answer.problem == "malformed-parameter")
            }
        }
    }

    @Test func `a history says who changed what, from what to what`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.active)
            _ = try await ledger.applyYAML(
                Examples.active.replacing("Hero text test", with: "Title test"))
            let history = try await ledger.get("/v1/experiments/hero-nov-2024/history")
            let change = try #require(history.items.last)
            #expect(change["actor"] == "local" && change["type"] == "ExperimentUpdated")
            let field = "/metadata/name"
            #expect(change["before"]?[field] == "Hero text test for November 2024")
            #expect(change["after"]?[field] == "Title test for November 2024")
            #expect(try await ledger.get("/v1/experiments/none/history").status == 404)
            #expect(try await ledger.get("/v1/labs/none/history").status == 404)
            #expect(try await ledger.get("/v1/labs/default/history").items.isEmpty)
        }
    }
}
