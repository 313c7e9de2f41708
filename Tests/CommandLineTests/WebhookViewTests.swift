import Domain
import Testing

@testable import CommandLine

@Suite struct WebhookViewTests {
    private static let webhook = """
        {"id":"shop","url":"https://shop.example.com/webhooks/ledger/incoming","events":["*"],
        "filter":{"lab":"GROWTH"},"encoder":"ndjson","mode":"ordered-by-key",
        "batch":{"maxCount":500},"headers":["Authorization"],"signature":"hmac","from":12,
        "status":"active","version":3,"createdAt":"2026-01-02T03:00:00.000000Z",
        "updatedAt":"2026-01-02T03:01:00.000000Z",
        "replays":[{"replay":1,"from":11,"through":50,"status":"running","position":20,
        "requestedAt":"2026-01-02T03:02:00.000000Z"}],
        "delivery":{"state":"failing","reason":"answered 500","position":1234,"lagEvents":5678,
        "lagSeconds":62.5,"requestsInFlight":1,"eventsInFlight":500,"failures":4,
        "failingSince":"2026-01-02T02:00:00.000000Z","nextRetry":"2026-01-02T03:09:00.000000Z",
        "setAside":2,"delivered":12000,"attempts":{"delivered":30,"rejected":3,"timed_out":1,
        "unreachable":6},"batchFill":400,"connectionsReused":30,
        "lastDeliveryAt":"2026-01-02T01:59:59.000000Z","lastError":"answered 500",
        "lastErrorAt":"2026-01-02T03:04:05.000000Z"}}
        """
    private let now = Timestamp("2026-01-02T03:04:57Z") ?? .now

    private func canvas(_ columns: Int? = nil, isColourful: Bool = false) -> Canvas {
        Canvas(columns: columns, isColourful: isColourful, hasBlocks: false)
    }

    private func answer(_ json: String = webhook) throws -> WebhookAnswer {
        try ServerJSON.decode(WebhookAnswer.self, from: json.utf8)
    }

    @Test func `a list tells how each endpoint is doing in one row`() throws {
        let quiet = Self.webhook.replacing(#""id":"shop""#, with: #""id":"quiet""#)
        let start = try #require(quiet.firstRange(of: "\"delivery\":"))
        let unknown = quiet[..<start.upperBound] + "null}"
        #expect(
            WebhookListView(
                [try answer(), try answer(String(unknown))], now: now, canvas: canvas()
            ).text == """
                ID     URL                                       ENCODER  STATE    LAG            IN FLIGHT  DELIVERED  FAILED  FILL  REUSED  SET ASIDE  NEXT RETRY
                shop   https://shop.example.com/w…dger/incoming  ndjson   failing  5 678, 62.5 s  500        12 000     10      400   75%     2          in 4 min 3 s
                quiet  https://shop.example.com/w…dger/incoming  ndjson   active   -              -          -          -       -     -       -

                """)
        #expect(WebhookListView([], now: now, canvas: canvas()).text.contains("webhook add"))
    }

    @Test func `an endpoint shows its settings, deliveries and replays`() throws {
        #expect(
            WebhookView(try answer(), now: now, canvas: canvas()).text == """
                webhook/shop  failing
                  url:            https://shop.example.com/webhooks/ledger/incoming
                  events:         *
                  lab:            GROWTH
                  encoder:        ndjson
                  mode:           ordered-by-key
                  batch count:    500
                  signature:      hmac
                  headers:        Authorization
                  begins at:      position 12
                  version:        3
                  created:        2026-01-02T03:00:00.000000Z
                  updated:        2026-01-02T03:01:00.000000Z

                deliveries
                  state:          failing
                  reason:         answered 500
                  failing since:  2026-01-02T02:00:00.000000Z (1 h 4 min ago)
                  failures:       4 in a row
                  next retry:     2026-01-02T03:09:00.000000Z (in 4 min 3 s)
                  settled:        up to position 1234
                  lag:            5 678, 62.5 s
                  in flight:      1 requests, 500 events
                  delivered:      12 000 events, 400 a request
                  attempts:       30 delivered, 3 rejected, 1 timed out, 6 unreachable
                  reused:         75% of connections
                  set aside:      2 events
                  last delivery:  2026-01-02T01:59:59.000000Z (1 h 4 min ago)
                  last error:     answered 500
                                  2026-01-02T03:04:05.000000Z (52 s ago)

                REPLAY  STATUS   FROM  THROUGH  AT  DONE  REQUESTED
                1       running  11    50       20  25%   2026-01-02T03:02:00.000000Z

                """)
    }

    @Test func `a narrow terminal gets each field on its own line`() throws {
        let text = WebhookListView([try answer()], now: now, canvas: canvas(60)).text
        #expect(text.split(separator: "\n").allSatisfy { Display.width(String($0)) <= 60 })
        #expect(text.contains("next retry  in 4 min 3 s"))
    }

    @Test func `what an endpoint says can't steer the terminal`() throws {
        let evil = #"\u001b[2Jx"#
        let json = Self.webhook.replacing("answered 500", with: evil)
            .replacing("shop.example.com", with: evil)
        let webhook = try answer(json)
        #expect(!WebhookView(webhook, now: now, canvas: canvas()).text.contains("\u{1b}"))
        #expect(!WebhookListView([webhook], now: now, canvas: canvas()).text.contains("\u{1b}"))
        let failure = """
            {"position":7,"attempts":3,"status":422,"reason":"\(evil)","answer":"\(evil)\\n\(evil)",
            "failedAt":"2026-01-02T03:04:05Z","requestedAt":null,"event":{"type":"\(evil)"}}
            """
        let decoded = try ServerJSON.decode(WebhookFailure.self, from: failure.utf8)
        #expect(!WebhookFailureView(now: now, canvas: canvas()).text(decoded).contains("\u{1b}"))
    }

    @Test func `an event that was set aside comes with the answer to it`() throws {
        let json = """
            {"position":4711,"attempts":3,"status":422,"reason":"answered 422",
            "answer":"no such lab\\ntry another","failedAt":"2026-01-02T03:04:05.000000Z",
            "requestedAt":null,"event":{"position":4711,"type":"LabCreated"}}
            """
        let failure = try ServerJSON.decode(WebhookFailure.self, from: json.utf8)
        #expect(
            WebhookFailureView(now: now, canvas: canvas()).text(failure) == """
                event 4711
                  attempts:       3
                  status:         422
                  reason:         answered 422
                  failed:         2026-01-02T03:04:05.000000Z (52 s ago)

                The endpoint's answer:
                  no such lab
                  try another

                The event:
                  {position: 4711, type: LabCreated}

                """)
    }

    @Test func `a test shows what was sent and what came back`() throws {
        let json = """
            {"delivered":true,"status":202,"error":null,"milliseconds":12.3,
            "address":"127.0.0.1:9000","request":{"url":"http://127.0.0.1:9000/hook",
            "headers":[{"name":"webhook-id","value":"7"}],"body":"{\\"a\\":1}"},
            "answer":{"headers":[{"name":"Server","value":"x"}],"body":"thanks"}}
            """
        let report = try ServerJSON.decode(WebhookTestAnswer.self, from: json.utf8)
        #expect(
            WebhookTestView(report: report, canvas: canvas()).text == """
                POST http://127.0.0.1:9000/hook
                  webhook-id: 7

                  {"a":1}

                Answered 202 in 12.3 ms from 127.0.0.1:9000
                  Server: x

                  thanks

                """)
        let none = json.replacing(
            #""status":202,"error":null"#, with: #""status":null,"error":"no"#
        )
        .replacing("no,", with: "no\",").replacing("true", with: "false")
        let failed = try ServerJSON.decode(WebhookTestAnswer.self, from: none.utf8)
        #expect(
            WebhookTestView(report: failed, canvas: canvas()).text.hasSuffix(
                "No answer after 12.3 ms: no\n"))
    }
}
