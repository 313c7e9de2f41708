import EventLog
import Hummingbird
import JSON
import Postgres
import Projections
import Telemetry
import TestSupport
import Testing

@testable import HTTPAPI

@Suite struct OpenAPITests {
    @Test func `the document describes the routes of the server and no others`() throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        let results = ResultsReader(pool: database.pool())
        defer { results.pool.shutdown() }
        let api = API(
            log: log, results: results, dispatchers: Dispatchers(), metrics: LedgerMetrics(),
            logger: .silent, servesWithoutKey: true)
        let routes = api.router().routes.map { route in
            let path = route.path.description.split(separator: "/").map { part in
                part.hasPrefix(":") ? "{\(part.dropFirst())}" : String(part)
            }
            return "\(route.method.rawValue) /\(path.joined(separator: "/"))"
        }
        let documented = OpenAPIDocument.shared.operations.map { "\($0.method) \($0.path)" }
        #expect(routes.count > 25)
        #expect(
            Set(routes.filter { !$0.hasPrefix("HEAD") }).symmetricDifference(documented) == [])
        #expect(Set(documented).count == documented.count)
    }

    @Test func `every documented operation is answered by a route`() async throws {
        try await ServedLedger.run { ledger async throws in
            for operation in OpenAPIDocument.shared.operations {
                let path = operation.path.replacing(/\{[a-z]+\}/, with: "X")
                let answer = try await ledger.send(operation.method, path)
                #expect(
                    !answer.detail.hasPrefix("Nothing answers"), "\(operation.method) \(path)")
                #expect(answer.header("X-Request-ID") != nil)
            }
        }
    }

    @Test func `every example of an answer in the document fits its schema`() {
        for operation in OpenAPIDocument.shared.operations {
            for response in operation.operation["responses"]?.object ?? [] {
                for media in response.value["content"]?.object ?? [] {
                    guard let example = media.value["example"], let schema = media.value["schema"],
                        media.key.hasSuffix("json"), media.key != "application/x-ndjson"
                    else { continue }
                    let faults = OpenAPIDocument.shared.faults(in: example, schema, "")
                    #expect(faults.isEmpty, "\(operation.method) \(operation.path)")
                }
            }
        }
    }

    @Test func `the schema checker finds what is wrong`() throws {
        func faults(_ value: String, _ schema: String) throws -> Int {
            OpenAPIDocument.shared.faults(
                in: try JSONValue.parse(Array(value.utf8)),
                try JSONValue.parse(Array(schema.utf8)), ""
            ).count
        }
        #expect(try faults("1.5", #"{"type":"integer"}"#) == 1)
        #expect(try faults("null", #"{"type":["string","null"]}"#) == 0)
        #expect(try faults("{}", #"{"required":["a"]}"#) == 1)
        #expect(
            try faults(#"{"b":1}"#, #"{"properties":{"a":{}},"additionalProperties":false}"#) == 1)
        #expect(try faults("[1,\"x\"]", #"{"items":{"type":"integer"}}"#) == 1)
        #expect(try faults("3", #"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#) == 1)
        #expect(try faults("\"x\"", ##"{"$ref":"#/components/schemas/Role"}"##) == 1)
        #expect(try faults("1", #"{"if":{}}"#) == 1)
    }

    @Test func `a walk through the API is answered as documented`() async throws {
        try await ServedLedger.run { ledger async throws in
            // Every answer is checked against the document as it comes.
            let yes = try await ledger.applyYAML(Examples.active)
            #expect(yes.status == 200)
            for (path, body) in [
                ("cohorts", #"{"variants":[{"variant":"control","split":1}]}"#),
                ("activate", "{}"), ("winner", #"{"variant":"treatment-a"}"#),
                ("end", #"{"reason":"success"}"#), ("archive", ""),
                ("reopen", #"{"to":"active","reason":"a mistake"}"#),
            ] {
                let answer = try await ledger.send(
                    "POST", "/v1/experiments/hero-nov-2024/\(path)", body)
                #expect(answer.status == 200, "\(path): \(answer.text)")
            }
            try await ledger.send(
                "POST", "/v1/experiments/HERO-NOV-2024/assignments", #"{"subjects":["u"]}"#)
            try await ledger.send(
                "POST", "/v1/assignments", #"{"subject":"u","experiments":["hero-nov-2024","no"]}"#)
            for path in [
                "/v1/labs", "/v1/labs/marketing", "/v1/labs/default", "/v1/labs/marketing/history",
                "/v1/subjecttypes", "/v1/subjecttypes/any", "/v1/subjecttypes/anonymous_id/history",
                "/v1/experiments", "/v1/experiments/hero-nov-2024", "/v1/audit", "/v1/keys",
                "/v1/experiments/hero-nov-2024/history",
                "/v1/experiments/hero-nov-2024/assignments",
                "/v1/subjects/u/assignments", "/v1/events", "/v1/log", "/v1/log/checkpoint",
                "/v1/log/key", "/v1/log/root", "/v1/log/proof/inclusion?position=1",
                "/v1/log/proof/consistency?from=1", "/healthz", "/readyz", "/metrics",
            ] {
                for accept in ["application/json", "application/yaml"] {
                    #expect(try await ledger.get(path, accept: accept).status == 200, "\(path)")
                }
                let head = try await ledger.send("HEAD", path)
                #expect(head.status == 200 && head.response.body.isEmpty, "HEAD \(path)")
            }
        }
    }
}
