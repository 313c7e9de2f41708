import struct Domain.Timestamp

/// Endpoints in a table, one to a row.
struct WebhookListView {
    private static let urlWidthMax = 40

    private let webhooks: [WebhookAnswer]
    private let now: Timestamp
    private let canvas: Canvas

    init(_ webhooks: [WebhookAnswer], now: Timestamp = .now, canvas: Canvas = .standardOutput) {
        self.webhooks = webhooks
        self.now = now
        self.canvas = canvas
    }

    var text: String {
        guard !webhooks.isEmpty else {
            return "There are no webhooks; see ledger webhook add --help.\n"
        }
        return canvas.table(
            [
                "id", "url", "encoder", "state", "lag", "in flight", "delivered", "failed", "fill",
                "reused", "set aside", "next retry",
            ], webhooks.map(row))
    }

    private func row(_ webhook: WebhookAnswer) -> [Table.Cell] {
        let start = [
            Table.Cell(webhook.id), Table.Cell(Self.shortened(webhook.url), style: .dim),
            Table.Cell(webhook.encoder),
        ]
        guard let delivery = webhook.delivery else {
            return start + [Table.Cell(webhook.status)]
                + Array(repeating: Table.Cell("-"), count: 7) + [Table.Cell("")]
        }
        return start + [
            Table.Cell(webhookState: delivery.state), Table.Cell(delivery.lagText),
            Table.Cell(grouped(delivery.eventsInFlight)), Table.Cell(grouped(delivery.delivered)),
            Table.Cell(grouped(delivery.attempts.failed)),
            Table.Cell(Numeral.short(delivery.batchFill)),
            Table.Cell(delivery.reusedShare.map(Numeral.percent) ?? "-"),
            Table.Cell(
                grouped(delivery.setAside), style: delivery.setAside > 0 ? .yellow : .plain),
            Table.Cell(delivery.nextRetry.map { Moment($0, now).text } ?? ""),
        ]
    }

    /// Begins with the host and ends with the path's end.
    static func shortened(_ url: String) -> String {
        guard url.count > urlWidthMax else { return url }
        let end = urlWidthMax / 3
        return "\(url.prefix(urlWidthMax - end - 1))…\(url.suffix(end))"
    }
}

/// One endpoint with its settings, deliveries and replays.
struct WebhookView {
    private let webhook: WebhookAnswer
    private let now: Timestamp
    private let canvas: Canvas

    init(_ webhook: WebhookAnswer, now: Timestamp = .now, canvas: Canvas = .standardOutput) {
        self.webhook = webhook
        self.now = now
        self.canvas = canvas
    }

    var text: String {
        let state = Table.Cell(webhookState: webhook.delivery?.state ?? webhook.status)
        let title = canvas.styled("webhook/\(Display.oneLine(webhook.id))", .bold)
        return "\(title)  \(canvas.styled(state.text, state.style))\n" + canvas.fields(settings)
            + deliveries + replays
    }

    private var settings: [(String, String?)] {
        let filter = webhook.filter
        let batch = webhook.batch
        return [
            ("url", webhook.url), ("events", webhook.events.joined(separator: ", ")),
            ("lab", filter?.lab), ("experiment", filter?.experiment),
            ("function", filter?.function), ("encoder", webhook.encoder), ("mode", webhook.mode),
            ("batch count", batch?.maxCount.map(grouped)),
            ("batch bytes", batch?.maxBytes.map(grouped)),
            ("rate limit", webhook.rateLimit.map { "\(Numeral.short($0)) requests/s" }),
            ("compression", webhook.compression), ("signature", webhook.signature),
            ("old secret", webhook.previousSecretUntil.map { "signs too until \(moment($0))" }),
            ("headers", webhook.headers?.joined(separator: ", ")),
            ("allow", webhook.allow?.joined(separator: ", ")),
            ("authorities", webhook.authorities.map { _ in "its own" }),
            ("certificate", webhook.certificate.map { _ in "shown" }),
            ("begins at", "position \(webhook.from)"), ("version", "\(webhook.version)"),
            ("created", webhook.createdAt), ("updated", webhook.updatedAt),
        ]
    }

    private var deliveries: String {
        guard let delivery = webhook.delivery else {
            return "\nNothing is known of its deliveries yet.\n"
        }
        let attempts = delivery.attempts
        return "\n" + canvas.styled("deliveries", .bold) + "\n"
            + canvas.fields([
                ("state", delivery.state), ("reason", delivery.reason),
                ("failing since", delivery.failingSince.map(moment)),
                ("failures", delivery.failures > 0 ? "\(delivery.failures) in a row" : nil),
                ("next retry", delivery.nextRetry.map(moment)),
                ("settled", "up to position \(delivery.position)"), ("lag", delivery.lagText),
                (
                    "in flight",
                    "\(grouped(delivery.requestsInFlight)) requests, "
                        + "\(grouped(delivery.eventsInFlight)) events"
                ),
                (
                    "delivered",
                    "\(grouped(delivery.delivered)) events, "
                        + "\(Numeral.short(delivery.batchFill)) a request"
                ),
                (
                    "attempts",
                    "\(grouped(attempts.delivered)) delivered, \(grouped(attempts.rejected)) "
                        + "rejected, \(grouped(attempts.timedOut)) timed out, "
                        + "\(grouped(attempts.unreachable)) unreachable"
                ),
                ("reused", delivery.reusedShare.map { "\(Numeral.percent($0)) of connections" }),
                ("set aside", "\(grouped(delivery.setAside)) events"),
                ("last delivery", delivery.lastDeliveryAt.map(moment)),
                ("last error", delivery.lastError),
                ("", delivery.lastErrorAt.map(moment)),
            ])
    }

    private var replays: String {
        guard !webhook.replays.isEmpty else { return "" }
        return "\n"
            + canvas.table(
                ["replay", "status", "from", "through", "at", "done", "requested"],
                webhook.replays.map { replay in
                    [
                        Table.Cell("\(replay.replay)"), Table.Cell(replay.status),
                        Table.Cell("\(replay.from)"), Table.Cell("\(replay.through)"),
                        Table.Cell("\(replay.position)"),
                        Table.Cell(
                            Numeral.percent(Double(replay.done) / Double(max(1, replay.total)))),
                        Table.Cell(replay.requestedAt, style: .dim),
                    ]
                })
    }

    private func moment(_ time: String) -> String { Moment(time, now).longText }
}

/// Events that an endpoint did not take.
struct WebhookFailureView {
    private let now: Timestamp
    private let canvas: Canvas

    init(now: Timestamp = .now, canvas: Canvas = .standardOutput) {
        self.now = now
        self.canvas = canvas
    }

    static let columns = ["position", "attempts", "status", "failed", "redelivery", "reason"]

    func row(_ failure: WebhookFailure) -> [Table.Cell] {
        [
            Table.Cell("\(failure.position)"), Table.Cell(grouped(failure.attempts)),
            Table.Cell(failure.status.map(String.init) ?? "-"),
            Table.Cell(Moment(failure.failedAt, now).text),
            Table.Cell(failure.requestedAt == nil ? "" : "asked for", style: .yellow),
            Table.Cell(failure.reason),
        ]
    }

    /// One event with what the receiver said of it.
    func text(_ failure: WebhookFailure) -> String {
        var text =
            canvas.styled("event \(failure.position)", .bold) + "\n"
            + canvas.fields([
                ("attempts", grouped(failure.attempts)),
                ("status", failure.status.map(String.init)), ("reason", failure.reason),
                ("failed", Moment(failure.failedAt, now).longText),
                ("redelivery", failure.requestedAt.map { "asked for at \($0)" }),
            ])
        if !failure.answer.isEmpty {
            text += "\nThe endpoint's answer:\n" + canvas.quoted(failure.answer)
        }
        if let event = failure.event {
            text += "\nThe event:\n" + canvas.quoted(event.description)
        }
        return text
    }
}

/// What was sent as a sample and what came back.
struct WebhookTestView {
    let report: WebhookTestAnswer
    var canvas = Canvas.standardOutput

    var text: String {
        let request = report.request
        let time = "\(Numeral.short(report.milliseconds)) ms"
        let place = report.address.map { " from \($0)" } ?? ""
        let sent =
            request.url.isEmpty
            ? ""
            : canvas.styled(Display.oneLine("POST \(request.url)"), .bold) + "\n"
                + headers(request.headers) + "\n" + canvas.quoted(request.body) + "\n"
        guard let status = report.status else {
            return sent
                + canvas.paragraph("No answer after \(time): \(report.error ?? "")", style: .red)
        }
        return sent
            + canvas.styled(
                "Answered \(status) in \(time)\(Display.oneLine(place))",
                report.delivered ? .green : .red) + "\n"
            + headers(report.answer.headers)
            + (report.answer.body.isEmpty ? "" : "\n" + canvas.quoted(report.answer.body))
            + (report.error.map { canvas.paragraph($0, style: .red) } ?? "")
    }

    private func headers(_ headers: [WebhookTestAnswer.Header]) -> String {
        headers.map { header in
            "  " + canvas.styled(Display.oneLine(header.name) + ":", .dim) + " "
                + Display.oneLine(header.value) + "\n"
        }.joined()
    }
}

/// A time, and how far away it is.
struct Moment {
    private let time: String
    /// `in 4 min 3 s`, `12 s ago`; nil for what is no time.
    private let distance: String?

    init(_ time: String, _ now: Timestamp) {
        self.time = time
        distance = Timestamp(time).map { moment in
            let microseconds = moment.microseconds - now.microseconds
            let text = ProgressText.time(.microseconds(abs(microseconds)))
            return microseconds > 0 ? "in \(text)" : "\(text) ago"
        }
    }

    /// How far away it is, or the time where that is not known.
    var text: String { distance ?? time }
    var longText: String { distance.map { "\(time) (\($0))" } ?? time }
}

extension WebhookAnswer.Delivery {
    fileprivate var lagText: String {
        guard lagEvents > 0 else { return "0" }
        let age = lagSeconds > 0 ? ", \(Numeral.short(lagSeconds)) s" : ""
        return "\(grouped(lagEvents))\(age)"
    }
}

extension Table.Cell {
    fileprivate init(webhookState state: String) {
        let style: Style =
            switch state {
            case "healthy", "active": .green
            case "paused": .yellow
            default: .red
            }
        self.init(state, style: style)
    }
}

extension Canvas {
    /// Names and values, one to a line; those without a value are left out.
    fileprivate func fields(_ fields: [(String, String?)]) -> String {
        fields.map { name, value in
            guard let value, !value.isEmpty else { return "" }
            let label = name.isEmpty ? "" : name + ":"
            let gap = String(repeating: " ", count: max(1, 16 - label.count))
            return "  " + styled(label + gap, .dim) + Display.oneLine(value) + "\n"
        }.joined()
    }

    /// A text from elsewhere, indented, line by line.
    fileprivate func quoted(_ text: String) -> String {
        text.split(separator: "\n").map { "  " + Display.oneLine(String($0)) + "\n" }.joined()
    }
}
