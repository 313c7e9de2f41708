import JSON
import Testing

@testable import HTTPAPI

@Suite struct WebhookRegistrationTests {
    @Test func `a new endpoint is answered with its ID and its secret alone`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let answer = try await ledger.register()
            #expect(answer.status == 201)
            #expect(answer.json.object?.map(\.key) == ["id", "secret"])
            #expect(answer["id"] == "shop")
            #expect(answer["secret"]?.string?.hasPrefix("whsec_") == true)
            let made = try await ledger.send(
                "POST", "/v1/webhooks", "url: https://8.8.8.8/\nevents: [AssignmentMade]\n",
                headers: [("Content-Type", "application/yaml")])
            #expect(made["id"]?.string?.hasPrefix("wh-") == true)
        }
    }

    @Test func `an endpoint that verifies with a public key is told that and no secret`()
        async throws
    {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let made = try await ledger.register(
                "https://8.8.8.8/", #""signature":"ed25519""#)
            #expect(made.json.object?.map(\.key) == ["id", "publicKey"])
            #expect(made["publicKey"]?.string?.hasPrefix("whpk_") == true)
        }
    }

    @Test func `an endpoint without an address is taken, with a warning`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let answer = try await ledger.register("https://nowhere.invalid/")
            #expect(answer.status == 201)
            #expect(answer["warnings"]?.array?.count == 1)
        }
    }

    private static let faults: [(body: String, pointers: [String])] = [
        ("[]", [""]), ("{}", ["/events", "/url"]),
        (#"{"url":"https://8.8.8.8/","events":[]}"#, ["/events"]),
        (
            #"{"url":"https://8.8.8.8/","events":["NoSuchEvent","*",5]}"#,
            ["/events/0", "/events/2"]
        ),
        (#"{"url":"https://8.8.8.8/","events":["*"],"colour":"red"}"#, ["/colour"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"encoder":"xml"}"#, ["/encoder"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"mode":"any"}"#, ["/mode"]),
        (#"{"url":"http://8.8.8.8/","events":["*"]}"#, ["/url"]),
        (#"{"url":"http://127.0.0.1/","events":["*"],"allow":["10.0.0.0/8"]}"#, ["/url"]),
        (#"{"url":"https://10.0.0.1/","events":["*"]}"#, ["/url"]),
        (#"{"url":"http://0x7f.1/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://0x7f.1/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://2130706433/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://[::ffff:10.0.0.1]/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://169.254.169.254/latest","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://localhost/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://ann:pw@8.8.8.8/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://8.8.8.8/#a","events":["*"]}"#, ["/url"]),
        (#"{"url":"ftp://8.8.8.8/","events":["*"]}"#, ["/url"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"headers":{"Host":"a"}}"#, ["/headers"]),
        (
            #"{"url":"https://8.8.8.8/","events":["*"],"headers":{"Webhook-Id":"1"}}"#,
            ["/headers"]
        ),
        (
            #"{"url":"https://8.8.8.8/","events":["*"],"headers":{"X-A":"a\r\nHost: b"}}"#,
            ["/headers"]
        ),
        (
            #"{"url":"https://8.8.8.8/","events":["*"],"headers":{"X-A\r\nB":"a"}}"#, ["/headers"]
        ),
        (#"{"url":"https://8.8.8.8/","events":["*"],"allow":["ten","::/0"]}"#, ["/allow/0"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"encoder":"posthog"}"#, ["/apiKey"]),
        (
            #"{"url":"https://8.8.8.8/","events":["Lab*"],"encoder":"segment","apiKey":"k"}"#,
            ["/events"]
        ),
        (
            #"{"url":"https://8.8.8.8/","events":["*"],"certificate":"-----BEGIN CERTIFICATE-----"}"#,
            ["/certificate"]
        ),
        (
            #"{"url":"https://8.8.8.8/","events":["*"],"authorities":"/etc/ca.pem"}"#,
            ["/authorities"]
        ),
        (#"{"url":"https://8.8.8.8/","events":["*"],"batch":{"maxCount":0}}"#, ["/batch/maxCount"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"rateLimit":0}"#, ["/rateLimit"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"rateLimit":1e-30}"#, ["/rateLimit"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"compression":"br"}"#, ["/compression"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"secret":"geheim"}"#, ["/secret"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"id":"a/b"}"#, ["/id"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"from":"tomorrow"}"#, ["/from"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"from":-1}"#, ["/from"]),
        (#"{"url":"https://8.8.8.8/","events":["*"],"from":99}"#, ["/from"]),
        (
            #"{"url":"http://a:b@10.0.0.1/","events":["X"],"id":"ä","from":[],"allow":["x"],"#
                + #""encoder":"xml","rateLimit":-1}"#,
            ["/allow/0", "/encoder", "/events/0", "/from", "/id", "/rateLimit", "/url"]
        ),
    ]

    @Test func `a bad body is refused with every fault at its pointer`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            for (body, pointers) in Self.faults {
                let answer = try await ledger.send("POST", "/v1/webhooks", body)
                #expect(answer.status == 422, "\(body): \(answer.text)")
                #expect(Set(answer.pointers).sorted() == pointers, "\(body): \(answer.text)")
            }
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `an ID is taken once, and free again when its endpoint is removed`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let first = try await ledger.register()
            let again = try await ledger.register()
            #expect(again.status == 409)
            #expect(again.problem == "conflict")
            #expect(try await ledger.send("DELETE", "/v1/webhooks/shop").status == 204)
            #expect(try await ledger.get("/v1/webhooks/shop").status == 404)
            #expect(try await ledger.send("DELETE", "/v1/webhooks/shop").status == 404)
            let second = try await ledger.register()
            #expect(second.status == 201)
            #expect(second["secret"] != first["secret"])
            #expect(try await ledger.get("/v1/webhooks/shop")["from"] == 4)
        }
    }

    @Test func `secrets are in no answer, and sealed in the log`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            let ownSecret = "whsec_" + String(repeating: "QUJD", count: 8)
            let secrets = ["tok-4711-abcdef", "phc_secret_key", "PRIVATE-PART", ownSecret]
            let answer = try await ledger.register(
                "https://8.8.8.8/",
                #""headers":{"Authorization":"Bearer tok-4711-abcdef","X-Team":"a"},"#
                    + #""apiKey":"phc_secret_key","encoder":"posthog","secret":"\#(ownSecret)","#
                    + #""certificate":"-----BEGIN CERTIFICATE-----","#
                    + #""privateKey":"-----BEGIN PRIVATE KEY-----PRIVATE-PART""#)
            #expect(answer["secret"]?.string == ownSecret)
            let shown = try await ledger.webhook("it can't be delivered to") {
                $0["delivery"]?.isNull == false
            }
            #expect(shown["headers"] == .array(["Authorization", "X-Team"]))
            try await ledger.send("PATCH", "/v1/webhooks/shop", #"{"mode":"strict"}"#)
            try await ledger.send("POST", "/v1/webhooks/shop/rotate-secret", "{}")
            try await ledger.send("DELETE", "/v1/webhooks/shop")
            try await ledger.register(id: "other")
            for path in [
                "/v1/events", "/v1/audit", "/v1/webhooks", "/v1/webhooks/other", "/metrics",
            ] {
                let text = try await ledger.get(path).text + shown.text
                for secret in secrets { #expect(!text.contains(secret), "\(path)") }
            }
            let created = try #require(try await ledger.get("/v1/events").lines.first)
            #expect(created["type"] == "WebhookCreated")
            #expect(created["data"]?["secret"]?.string?.contains(".") == true)
            #expect(created["data"]?["settings"]?["sealed"]?.string?.contains(".") == true)
        }
    }

    @Test func `a reader watches endpoints, and an admin alone changes them`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.register()
            var keys: [String: String] = [:]
            for role in ["reader", "editor", "admin"] {
                let made = try await ledger.send("POST", "/v1/keys", #"{"role":"\#(role)"}"#)
                keys[role] = try #require(made["secret"]?.string)
            }
            func status(
                _ role: String, _ method: String, _ path: String, _ body: String? = nil
            ) async throws -> Int {
                try await ledger.send(
                    method, "/v1/webhooks" + path, body,
                    headers: [("Authorization", "Bearer \(keys[role] ?? "")")]
                ).status
            }
            for path in ["", "/shop", "/shop/failures"] {
                #expect(try await status("reader", "GET", path) == 200)
            }
            for (method, path) in [
                ("POST", ""), ("PATCH", "/shop"), ("DELETE", "/shop"), ("POST", "/shop/pause"),
                ("POST", "/shop/resume"), ("POST", "/shop/test"), ("POST", "/shop/rotate-secret"),
                ("POST", "/shop/redeliver"), ("POST", "/shop/replay"),
                ("DELETE", "/shop/replays/1"),
            ] {
                #expect(try await status("editor", method, path, "{}") == 403, "\(method) \(path)")
            }
            #expect(try await status("admin", "POST", "/shop/pause") == 200)
        }
    }

    @Test func `a node that delivers nothing says so`() async throws {
        try await ServedLedger.run { ledger async throws in
            for (method, body) in [("GET", nil), ("POST", "{}")] as [(String, String?)] {
                let answer = try await ledger.send(method, "/v1/webhooks", body)
                #expect(answer.status == 503)
                #expect(answer.problem == "no-webhooks")
                #expect(answer.detail.contains("the node that delivers them"))
            }
        }
    }

    @Test func `events of endpoints can't be appended`() async throws {
        try await ServedLedger.run(dispatching: true) { ledger async throws in
            try await ledger.register()
            for type in ["WebhookPaused", "WebhookCreated", "WebhookRemoved"] {
                let answer = try await ledger.send(
                    "POST", "/v1/events", #"{"type":"\#(type)","data":{"webhook":"shop"}}"#)
                #expect(answer.status == 422)
                #expect(answer.pointers == ["/type"], "\(answer.text)")
            }
            #expect(ledger.log.view.position == 1)
        }
    }
}
