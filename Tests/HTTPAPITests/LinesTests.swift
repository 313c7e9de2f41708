import Curl
import Domain
import EventLog
import Gzip
import JSON
import TestSupport
import Testing

@Suite struct LinesTests {
    @Test func `a request that waits is answered by the next commit`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.draft)
            let head = ledger.log.view.position
            async let waiting = ledger.get("/v1/events?after=\(head)&wait=30&limit=10")
            while ledger.log.view.waiterCount == 0 { await Task.yield() }
            let started = ContinuousClock.now
            try await ledger.log.createExperiment("NEXT")
            let answer = try await waiting
            #expect(ContinuousClock.now - started < .seconds(5))
            #expect(answer.lines.integers("position").first == head + 1)
            #expect(answer.header("X-Ledger-Position") == "\(ledger.log.view.position)")
        }
    }

    @Test func `a request waits no longer than it says, and not at all where there are lines`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            let empty = try await ledger.get("/v1/events?wait=1")
            #expect(empty.status == 200 && empty.lines.isEmpty)
            #expect(ledger.log.view.waiterCount == 0)
            _ = try await ledger.applyYAML(Examples.draft)
            let started = ContinuousClock.now
            #expect(try await !ledger.get("/v1/events?wait=30").lines.isEmpty)
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test func `who waits is let go when the ledger stops`() async throws {
        try await ServedLedger.run { ledger async throws in
            async let waiting = ledger.get("/v1/events?wait=30")
            while ledger.log.view.waiterCount == 0 { await Task.yield() }
            ledger.log.beginStopping()
            #expect(try await waiting.lines.isEmpty)
        }
    }

    @Test func `lines come compressed to who asks for it`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.log.createExperiment("HERO")
            try await ledger.log.assign("HERO", subjects: 0..<100)
            let plain = try await ledger.get("/v1/events?limit=1000")
            #expect(plain.header("Content-Encoding") == nil)
            for query in ["limit=1000", "limit=1000&experiment=HERO"] {
                let whole = try await ledger.get("/v1/events?\(query)")
                for (accept, isGzip) in [
                    ("gzip", true), ("deflate, GZIP;q=0.5", true), ("*", true), ("br", false),
                    ("gzip;q=0", false), ("gzip; q=0.0, br", false),
                ] {
                    let response = try await onThread {
                        try Transfer().perform(
                            Request(
                                url: "http://127.0.0.1:\(ledger.port)/v1/events?\(query)",
                                headers: [("Accept-Encoding", accept)]))
                    }
                    #expect(
                        (response.head.header("Content-Encoding") == "gzip") == isGzip, "\(accept)")
                    let body =
                        isGzip ? try gunzipped(response.body, bytesMax: 1 << 20) : response.body
                    #expect(body == whole.response.body)
                }
            }
        }
    }

    @Test func `a page of long lines ends before its limit, and nothing is left out`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            let filler = String(repeating: "x", count: Limits.textBytesMax - 10)
            for part in 0..<4 {
                try await ledger.log.appendEvents(
                    (0..<100).map { number in
                        ProposedEvent(
                            type: "LabCreated",
                            data: .object([
                                .init(
                                    "metadata",
                                    .object([
                                        .init("id", .string("lab-\(part)-\(number)")),
                                        .init("description", .string(filler)),
                                    ]))
                            ]))
                    })
            }
            for query in ["", "&type=LabCreated"] {
                var seen: [Int64] = []
                var pages = 0
                while seen.last != 400 {
                    let page = try await ledger.get(
                        "/v1/events?limit=100000&after=\(seen.last ?? 0)\(query)")
                    #expect(page.response.body.count < Limits.linePageBytesMax * 5)
                    seen += page.lines.integers("position")
                    pages += 1
                }
                #expect(seen == Array(1...400) && (pages > 1 || !query.isEmpty))
            }
        }
    }
}
