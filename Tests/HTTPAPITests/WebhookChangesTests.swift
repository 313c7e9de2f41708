import Domain
import FaultyReceiver
import JSON
import Testing

@testable import HTTPAPI

@Suite struct WebhookChangesTests {
    private static func settings(_ answer: Answer) -> [String] {
        let others = ["version", "updatedAt", "delivery"]
        return (answer.json.object ?? []).filter { !others.contains($0.key) }
            .map { "\($0.key)=\(String(decoding: $0.value.encoded, as: UTF8.self))" }
    }

    @Test func `an update changes what it names, and null takes it back`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.register(
                "https://8.8.8.8/",
                #""rateLimit":5,"filter":{"lab":"default"},"batch":{"maxCount":9},"#
                    + #""encoder":"ndjson","compression":"gzip","allow":["10.0.0.0/8"]"#)
            let before = try await ledger.get("/v1/webhooks/shop")
            let changed = try await ledger.send(
                "PATCH", "/v1/webhooks/shop",
                #"{"url":"https://9.9.9.9/","batch":{"maxBytes":1000},"rateLimit":null,"filter":null}"#
            )
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["version"] == 2)
            #expect(
                Set(Self.settings(before)).symmetricDifference(Self.settings(changed)) == [
                    #"url="https://8.8.8.8/""#, #"url="https://9.9.9.9/""#, "rateLimit=5",
                    #"filter={"lab":"DEFAULT"}"#, #"batch={"maxCount":9}"#,
                    #"batch={"maxBytes":1000}"#,
                ])
            let position = ledger.log.view.position
            let same = try await ledger.send(
                "PATCH", "/v1/webhooks/shop", #"{"url":"https://9.9.9.9/","rateLimit":null}"#)
            #expect(same.status == 200)
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `an update keeps the secrets that it does not name`() async throws {
        let receiver = FaultyReceiver()
        defer { receiver.stop() }
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            _ = try await ledger.register(receiver, #""headers":{"X-Team":"one","X-Other":"2"}"#)
            try await ledger.send("PATCH", "/v1/webhooks/shop", #"{"mode":"parallel"}"#)
            try await ledger.createLab("a")
            let kept = try await receiver.requests(1)
            #expect(kept[0].header("X-Team") == "one")
            let changed = try await ledger.send(
                "PATCH", "/v1/webhooks/shop", #"{"headers":{"X-Team":"two"}}"#)
            #expect(changed["headers"] == .array(["X-Team"]))
            let count = receiver.received.count
            try await ledger.createLab("b")
            let replaced = try await receiver.requests(count + 1)
            #expect(replaced.last?.header("X-Team") == "two")
            #expect(replaced.last?.header("X-Other") == nil)
            let none = try await ledger.send("PATCH", "/v1/webhooks/shop", #"{"headers":null}"#)
            #expect(none.json["headers"] == nil)
            for (body, pointer) in [
                (#"{"url":null}"#, "/url"), (#"{"mode":"any"}"#, "/mode"),
                (#"{"from":1}"#, "/from"), (#"{"id":"b"}"#, "/id"),
                (#"{"signature":"ed25519"}"#, "/signature"),
                (#"{"secret":"whsec_\#(String(repeating: "QUJD", count: 8))"}"#, "/secret"),
                (#"{"rateLimit":1e-9}"#, "/rateLimit"),
            ] {
                let answer = try await ledger.send("PATCH", "/v1/webhooks/shop", body)
                #expect(answer.pointers == [pointer], "\(answer.text)")
            }
        }
    }

    @Test func `each change of an endpoint is an event of whoever made it`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let key = try await ledger.send("POST", "/v1/keys", #"{"role":"admin","id":"ops"}"#)
            let bearer = [("Authorization", "Bearer \(try #require(key["secret"]?.string))")]
            try await ledger.register()
            for (method, path, body, status) in [
                ("POST", "/pause", nil, 200), ("POST", "/pause", nil, 200),
                ("POST", "/resume", nil, 200), ("POST", "/resume", nil, 200),
                ("PATCH", "", #"{"mode":"strict"}"#, 200), ("POST", "/rotate-secret", "{}", 200),
                ("DELETE", "", nil, 204),
            ] as [(String, String, String?, Int)] {
                let answer = try await ledger.send(
                    method, "/v1/webhooks/shop" + path, body, headers: bearer)
                #expect(answer.status == status, "\(method) \(path): \(answer.text)")
            }
            let events = try await ledger.get("/v1/events?stream=webhook/shop").lines
            #expect(
                events.texts("type") == [
                    "WebhookCreated", "WebhookPaused", "WebhookResumed", "WebhookUpdated",
                    "WebhookSecretRotated", "WebhookRemoved",
                ])
            #expect(events.texts("actor") == ["local"] + Array(repeating: "key/ops", count: 5))
            let audit = try await ledger.get("/v1/audit?type=WebhookPaused,WebhookUpdated").items
            #expect(audit.texts("summary") == ["webhook shop paused", "webhook shop updated"])
            #expect(audit.texts("entity") == ["webhook/shop", "webhook/shop"])
            #expect(audit.last?["after"]?["mode"] == "strict")
            #expect(audit.last?["before"]?["mode"] == "ordered-by-key")
        }
    }

    @Test func `rotating gives a new secret, and the old one a day`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let first = try await ledger.register()["secret"]
            let rotated = try await ledger.send("POST", "/v1/webhooks/shop/rotate-secret", "{}")
            #expect(rotated.json.object?.map(\.key) == ["id", "secret", "previousUntil"])
            #expect(rotated["secret"] != first)
            let until = try #require(
                rotated["previousUntil"]?.string.flatMap { Timestamp($0) })
            let hours = Double(until.microseconds - Timestamp.now.microseconds) / 3.6e9
            #expect((23.9...24).contains(hours))
            #expect(
                try await ledger.get("/v1/webhooks/shop")["previousSecretUntil"]
                    == rotated["previousUntil"])
            let own = "whsec_" + String(repeating: "QUJD", count: 8)
            let brought = try await ledger.send(
                "POST", "/v1/webhooks/shop/rotate-secret", #"{"secret":"\#(own)"}"#)
            #expect(brought["secret"]?.string == own)
            let publicly = try await ledger.send(
                "POST", "/v1/webhooks/shop/rotate-secret", #"{"signature":"ed25519"}"#)
            #expect(publicly["publicKey"]?.string?.hasPrefix("whpk_") == true)
            #expect(publicly["secret"] == nil)
            #expect(try await ledger.get("/v1/webhooks/shop")["signature"] == "ed25519")
            for (body, pointer) in [
                (#"{"secret":"x"}"#, "/secret"), (#"{"colour":"x"}"#, "/colour"),
                (#"{"secret":"\#(own)","signature":"ed25519"}"#, "/secret"),
            ] {
                let refused = try await ledger.send(
                    "POST", "/v1/webhooks/shop/rotate-secret", body)
                #expect(refused.pointers == [pointer], "\(refused.text)")
            }
        }
    }
}
