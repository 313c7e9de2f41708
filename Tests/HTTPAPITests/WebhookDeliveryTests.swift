import Crypto
import Domain
import FaultyReceiver
import Foundation
import JSON
import Testing

@testable import HTTPAPI

@Suite(.timeLimit(.minutes(10))) struct WebhookDeliveryTests {
    /// As a receiver would, from the specification of Standard Webhooks alone.
    private static func signature(_ request: Received, _ secret: String) throws -> String {
        let key = try #require(Data(base64Encoded: String(secret.dropFirst("whsec_".count))))
        let id = try #require(request.header("webhook-id"))
        let time = try #require(request.header("webhook-timestamp"))
        let code = HMAC<SHA256>.authenticationCode(
            for: Data("\(id).\(time).".utf8) + request.body, using: SymmetricKey(data: key))
        return "v1," + Data(code).base64EncodedString()
    }

    @Test func `an event arrives, and its signature verifies`() async throws {
        let receiver = FaultyReceiver()
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.createLab("before")
            let secret = try await ledger.register(receiver)
            let position = try await ledger.createLab("after")
            let request = try await receiver.requests(1)[0]
            let line = try #require(
                try await ledger.get("/v1/events?after=\(position - 1)").lines.first)
            let body = try JSONValue.parse(request.body)
            #expect(body["type"] == "lab.created")
            #expect(body["data"] == line)
            #expect(request.header("webhook-id") == line["id"]?.string)
            #expect(request.path == "/hook")
            #expect(
                request.header("webhook-signature") == (try Self.signature(request, secret)))
            let rotated = try await ledger.send("POST", "/v1/webhooks/shop/rotate-secret", "{}")
            let newSecret = try #require(rotated["secret"]?.string)
            try await ledger.createLab("again")
            let next = try await receiver.requests(2)[1]
            #expect(
                next.header("webhook-signature")
                    == (try Self.signature(next, newSecret) + " " + Self.signature(next, secret)))
            let shown = try await ledger.webhook("it has delivered") {
                $0["delivery"]?["delivered"] == 2
            }
            #expect(shown["delivery"]?["state"] == "healthy")
            #expect(shown["delivery"]?["attempts"]?["delivered"] == 2)
            let listed = try await ledger.get("/v1/webhooks")
            #expect(listed.items.first?["delivery"]?["connectionsReused"] == 1)
            // Metrics show what is known without asking the dispatcher's thread.
            let count = #"ledger_webhook_delivered_events_total{webhook="shop"} 2"#
            while try await !ledger.get("/metrics").text.contains(count) {}
        }
    }

    @Test func `a sample is sent to a paused endpoint, and hides what nobody should read`()
        async throws
    {
        let receiver = FaultyReceiver { request in
            .answer(202, headers: [("X-Echo", request.header("X-Token") ?? "")], body: "thanks")
        }
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let secret = try await ledger.register(receiver, #""headers":{"X-Token":"tok-4711"}"#)
            try await ledger.send("POST", "/v1/webhooks/shop/pause")
            let position = ledger.log.view.position
            let answer = try await ledger.send("POST", "/v1/webhooks/shop/test")
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer["delivered"] == true)
            #expect(answer["status"] == 202)
            #expect(answer["address"]?.string?.hasPrefix("127.0.0.1") == true)
            #expect(answer["answer"]?["body"] == "thanks")
            #expect(
                answer["answer"]?["headers"]?.array?.texts("value").contains("(hidden)") == true)
            #expect(!answer.text.contains("tok-4711"))
            let request = try await receiver.requests(1)[0]
            #expect(request.header("X-Token") == "tok-4711")
            #expect(
                request.header("webhook-signature") == (try Self.signature(request, secret)))
            #expect(answer["request"]?["body"]?.string == request.text)
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `the sample of an analytics service hides the API key in its body`() async throws {
        let receiver = FaultyReceiver { _ in .answer(500, body: "no") }
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            _ = try await ledger.register(
                receiver, #""encoder":"segment","apiKey":"write-\"key\"-1""#)
            let answer = try await ledger.send("POST", "/v1/webhooks/shop/test")
            #expect(answer["delivered"] == false)
            #expect(answer["status"] == 500)
            let body = try #require(answer["request"]?["body"]?.string)
            #expect(body.hasPrefix(#"{"writeKey":"(hidden)""#), "\(body)")
            #expect(
                try await receiver.requests(1)[0].text.hasPrefix(#"{"writeKey":"write-\"key\"-1""#))
        }
    }

    @Test func `a sample that reaches nobody tells why`() async throws {
        let receiver = FaultyReceiver()
        receiver.stop()
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            _ = try await ledger.register(receiver)
            let answer = try await ledger.send("POST", "/v1/webhooks/shop/test")
            #expect(answer["delivered"] == false)
            #expect(answer["status"] == .null)
            #expect(answer["error"]?.string?.isEmpty == false)
        }
    }

    @Test func `a stretch of the log is replayed by positions and by times`() async throws {
        let receiver = FaultyReceiver()
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            var ids: [String] = []
            for name in ["a", "b", "c"] { try await ledger.createLab(name) }
            let events = try await ledger.get("/v1/events").lines
            ids = events.texts("id")
            let times = events.texts("recordedAt")
            _ = try await ledger.register(receiver)
            let first = try await ledger.send(
                "POST", "/v1/webhooks/shop/replay", #"{"from":1,"to":2}"#)
            #expect(first.status == 202)
            #expect(first["replay"] == 1 && first["events"] == 2, "\(first.text)")
            #expect(Set(try await receiver.requests(2).compactMap(Self.id)) == Set(ids[0...1]))
            let ended = try await ledger.webhook("the replay ends") {
                $0["replays"]?.array?.first?["status"] == "completed"
            }
            #expect(ended["replays"]?.array?.first?["position"] == 2)
            let second = try await ledger.send(
                "POST", "/v1/webhooks/shop/replay",
                #"{"from":"\#(times[1])","to":"\#(times[1])","rateLimit":100}"#)
            #expect(second["from"] == 2 && second["through"] == 2, "\(second.text)")
            #expect(try await receiver.requests(3).compactMap(Self.id).last == ids[1])
            let completed = try await ledger.webhook("the second one ends") {
                $0["replays"]?.array?.last?["status"] == "completed"
            }
            #expect(completed["replays"]?.array?.count == 2)
            let actors = try await ledger.get("/v1/audit?type=WebhookReplayCompleted").items
            #expect(actors.texts("actor") == ["dispatcher", "dispatcher"])
        }
    }

    private static func id(_ request: Received) -> String? { request.header("webhook-id") }

    @Test func `one replay runs at a time, and can be cancelled`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.register()
            try await ledger.send("POST", "/v1/webhooks/shop/pause")
            func replay(_ body: String) async throws -> Answer {
                try await ledger.send("POST", "/v1/webhooks/shop/replay", body)
            }
            #expect(try await replay("{}").status == 202)
            let refused = try await replay("{}")
            #expect(refused.status == 409)
            #expect(refused.detail.contains("Replay 1"))
            func cancel(_ number: String) async throws -> Int {
                try await ledger.send("DELETE", "/v1/webhooks/shop/replays/\(number)").status
            }
            #expect(try await cancel("1") == 204)
            #expect(try await cancel("1") == 204)
            #expect(try await cancel("2") == 404)
            #expect(try await cancel("x") == 404)
            #expect(try await replay("{}")["replay"] == 2)
            #expect(
                try await ledger.get("/v1/webhooks/shop")["replays"]?.array?.texts("status")
                    == ["cancelled", "running"])
            #expect(try await cancel("2") == 204)
            for (body, pointers) in [
                (#"{"from":0}"#, []), (#"{"from":5,"to":4}"#, []), (#"{"from":99}"#, []),
                (#"{"from":"yesterday"}"#, ["/from"]), (#"{"to":true}"#, ["/to"]),
                (#"{"from":"2999-01-01T00:00:00Z"}"#, []), (#"{"rateLimit":0}"#, ["/rateLimit"]),
                (#"{"rateLimit":1e-30,"until":1}"#, ["/until", "/rateLimit"]),
            ] {
                let answer = try await replay(body)
                #expect(answer.status == 422, "\(body): \(answer.text)")
                #expect(answer.pointers == pointers, "\(body): \(answer.text)")
            }
        }
    }

    @Test func `what an endpoint refuses is set aside, shown, and delivered once more`()
        async throws
    {
        let receiver = FaultyReceiver { request in
            request.text.contains("\"BAD") && request.header("X-Mode") == nil
                ? .answer(422, body: "no such lab: \(request.header("X-Token") ?? "")") : .success
        }
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            _ = try await ledger.register(receiver, #""headers":{"X-Token":"tok-4711"}"#)
            let bad = try await ledger.createLab("bad-1")
            let worse = try await ledger.createLab("bad-2")
            try await ledger.createLab("good")
            _ = try await receiver.requests(3)
            try await ledger.webhook("both are set aside") { $0["delivery"]?["setAside"] == 2 }
            func failures(_ query: String = "") async throws -> Answer {
                try await ledger.get("/v1/webhooks/shop/failures\(query)")
            }
            // Kept a moment after they are counted.
            var items: [JSONValue] = []
            while items.count < 2 { items = try await failures().items }
            #expect(items.integers("position") == [bad, worse])
            #expect(items.integers("status") == [422, 422])
            let page = try await failures("?limit=1")
            #expect(page["next"]?.string == "\(bad)")
            #expect(try await failures("?limit=1&cursor=\(bad)").items.count == 1)
            let one = try await ledger.get("/v1/webhooks/shop/failures/\(bad)")
            #expect(one["answer"] == "no such lab: (hidden)")
            #expect(one["event"]?["position"] == .number(JSONNumber(bad)))
            #expect(try await ledger.get("/v1/webhooks/shop/failures/1").status == 404)
            #expect(try await ledger.get("/v1/webhooks/shop/failures/x").status == 404)

            try await ledger.send(
                "PATCH", "/v1/webhooks/shop", #"{"headers":{"X-Mode":"lenient"}}"#)
            let again = try await ledger.send(
                "POST", "/v1/webhooks/shop/redeliver", #"{"positions":[\#(bad)]}"#)
            #expect(again.status == 202)
            #expect(again["redelivering"] == 1)
            try await ledger.webhook("one is left") { $0["delivery"]?["setAside"] == 1 }
            #expect(
                try await ledger.send("POST", "/v1/webhooks/shop/redeliver", #"{"all":true}"#)
                    .status == 202)
            try await ledger.webhook("none is left") { $0["delivery"]?["setAside"] == 0 }
            while try await !failures().items.isEmpty {}
        }
    }

    @Test func `where nothing is set aside nothing is delivered once more`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.register()
            func redeliver(_ body: String) async throws -> Answer {
                try await ledger.send("POST", "/v1/webhooks/shop/redeliver", body)
            }
            let none = try await redeliver(#"{"all":true}"#)
            #expect(none.status == 202)
            #expect(none["redelivering"] == 0)
            #expect(try await redeliver(#"{"positions":[1]}"#).status == 404)
            for (body, pointer) in [
                ("{}", "/positions"), (#"{"positions":[]}"#, "/positions"),
                (#"{"positions":["a"]}"#, "/positions/0"), (#"{"all":false}"#, "/positions"),
                (#"{"all":true,"colour":1}"#, "/colour"),
            ] {
                #expect(try await redeliver(body).pointers.contains(pointer), "\(body)")
            }
            #expect(ledger.log.view.position == 1)
        }
    }
}
