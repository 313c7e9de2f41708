import Domain
import EventLog
import JSON
import TestSupport
import Testing

@Suite("Nodes that share a database")
struct NodesTests {
    private func role(_ node: ServedLedger) async throws -> String? {
        try await node.get("/readyz").json["role"]?.string
    }

    @Test("any of them takes what only the leader can do, and gives the leader's answer")
    func passesOn() async throws {
        try await ServedLedger.nodes(2) { nodes in
            let created = try await nodes[1].applyYAML(Examples.active)
            #expect(created.status == 200, "\(created.text)")
            for (number, node) in nodes.enumerated() {
                let answer = try await node.send(
                    "POST", "/v1/experiments/hero-nov-2024/assignments",
                    #"{"subjects":["u\#(number)"]}"#)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer["assignments"]?.array?.first?["reason"]?.string == "NEW")
            }
            // What the leader refuses is refused, in its words.
            for node in nodes {
                let unknown = try await node.send(
                    "POST", "/v1/experiments/nobody/assignments", #"{"subjects":["u"]}"#)
                #expect(unknown.status == 404)
                #expect(unknown.problem == "not-found")
            }
            let nowhere = try await nodes[1].send("POST", "/v1/nowhere", "{}")
            #expect(nowhere.status == 404)
            #expect(
                Set([try await role(nodes[0]), try await role(nodes[1])]) == ["leader", "standby"])
        }
    }

    @Test("who names the position it has seen reads it on any node")
    func readsItsWrites() async throws {
        try await ServedLedger.nodes(2) { nodes in
            #expect(try await nodes[0].applyYAML(Examples.active).status == 200)
            for number in 0..<20 {
                let answer = try await nodes[number % 2].send(
                    "POST", "/v1/experiments/hero-nov-2024/assignments",
                    #"{"subjects":["u\#(number)"]}"#)
                let position = try #require(answer.header("X-Ledger-Position"))
                let other = nodes[(number + 1) % 2]
                let path = "/v1/subjects/u\(number)/assignments"
                let read =
                    number % 3 == 0
                    ? try await other.get("\(path)?min_position=\(position)")
                    : try await other.send(
                        "GET", path, headers: [("X-Ledger-Min-Position", position)])
                #expect(read.items.count == 1, "\(read.text)")
                #expect(Int64(read.header("X-Ledger-Position") ?? "") ?? 0 >= Int64(position) ?? 1)
            }
        }
    }

    @Test("a position that is not reached in time is a 503, and one that is none a 400")
    func positionNotReached() async throws {
        try await ServedLedger.run { ledger in
            let far = try await ledger.get("/v1/experiments?min_position=1000")
            #expect(far.status == 503)
            #expect(far.problem == "position-not-reached")
            for header in ["-1", "soon"] {
                let answer = try await ledger.send(
                    "GET", "/v1/experiments", headers: [("X-Ledger-Min-Position", header)])
                #expect(answer.status == 400)
            }
            #expect(try await ledger.get("/v1/experiments?min_position=x").status == 400)
        }
    }

    @Test("a key gives the first answer on every node, also after a change of leader")
    func idempotency() async throws {
        try await ServedLedger.nodes(3) { nodes in
            #expect(try await nodes[0].applyYAML(Examples.active).status == 200)
            let headers = [("Idempotency-Key", "once")]
            let path = "/v1/experiments/hero-nov-2024/assignments"
            let body = #"{"subjects":["a","b"]}"#
            let first = try await nodes[1].send("POST", path, body, headers: headers)
            #expect(first.status == 200)
            let leader = try #require(nodes.first { $0.log.isLeading })
            leader.log.stop()
            for node in nodes where node.port != leader.port {
                let again = try await node.send("POST", path, body, headers: headers)
                #expect(again.text == first.text)
                #expect(again.header("Idempotency-Replayed") == "true")
            }
        }
    }
}
