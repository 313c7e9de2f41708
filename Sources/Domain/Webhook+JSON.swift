import JSON

extension JSONWriter {
    /// The settings as the API and the log show them; what is sealed only to the log.
    package mutating func members(of settings: WebhookSettings, withSealed: Bool = false) {
        key("url")
        string(settings.url)
        key("events")
        strings(settings.events)
        if !settings.filter.isEmpty {
            key("filter")
            beginObject()
            optional("lab", settings.filter.lab?.text)
            optional("experiment", settings.filter.experiment)
            optional("function", settings.filter.function)
            endObject()
        }
        key("encoder")
        string(settings.encoder)
        key("mode")
        string(settings.mode.rawValue)
        if settings.batchCountMax != nil || settings.batchBytesMax != nil {
            key("batch")
            beginObject()
            optional("maxCount", settings.batchCountMax)
            optional("maxBytes", settings.batchBytesMax)
            endObject()
        }
        if !settings.allow.isEmpty {
            key("allow")
            strings(settings.allow)
        }
        if !settings.headers.isEmpty {
            key("headers")
            strings(settings.headers)
        }
        if let rateLimit = settings.rateLimit {
            key("rateLimit")
            number(rateLimit)
        }
        if settings.compressesBodies {
            key("compression")
            string("gzip")
        }
        key("signature")
        string(settings.signature.rawValue)
        optional("authorities", settings.authorities)
        optional("certificate", settings.certificate)
        if withSealed { optional("sealed", settings.sealed) }
    }

    package mutating func members(of replay: WebhookReplay) {
        key("replay")
        integer(replay.number)
        key("from")
        integer(replay.from)
        key("through")
        integer(replay.through)
        if let rateLimit = replay.rateLimit {
            key("rateLimit")
            number(rateLimit)
        }
    }

    mutating func members(of change: WebhookChange) {
        switch change {
        case .created(let settings, let secret, let start):
            self.settings("settings", settings)
            key("secret")
            string(secret)
            key("start")
            integer(start)
        case .updated(let before, let after):
            settings("before", before)
            settings("after", after)
        case .secretRotated(let secret, let until):
            key("secret")
            string(secret)
            key("previousUntil")
            string(until.description)
        case .paused: return
        case .resumed(let from):
            key("from")
            string(from)
        case .disabled(let reason):
            key("reason")
            string(reason)
        case .removed(let last): settings("settings", last)
        case .replayRequested(let replay): members(of: replay)
        case .replayCancelled(let number), .replayCompleted(let number):
            key("replay")
            integer(number)
        case .redelivered(let positions):
            key("positions")
            beginArray()
            for position in positions { integer(position) }
            endArray()
        }
    }

    private mutating func settings(_ name: StaticString, _ settings: WebhookSettings) {
        key(name)
        beginObject()
        members(of: settings, withSealed: true)
        endObject()
    }

    private mutating func strings(_ texts: [String]) {
        beginArray()
        for text in texts { string(text) }
        endArray()
    }

    private mutating func optional(_ name: StaticString, _ value: Int?) {
        guard let value else { return }
        key(name)
        integer(value)
    }
}

extension WebhookSettings {
    /// The members that ``JSONWriter/members(of:withSealed:)`` writes.
    package static let keys = [
        "url", "events", "filter", "encoder", "mode", "batch", "allow", "headers", "rateLimit",
        "compression", "signature", "authorities", "certificate", "sealed",
    ]

    /// Reads settings, noting everything that breaks a rule; `headers` is left to the caller, to
    /// whom it is a map of names and values.
    package init?(_ reader: DocumentReader) {
        let events = reader.array("events", max: Limits.webhookPatternsMax, required: true)
        guard let url = reader.text("url", max: Limits.webhookURLBytesMax, required: true),
            let encoder = reader.text("encoder") ?? Self.encoderDefault
        else { return nil }
        self.init(url: url, events: [], encoder: encoder)
        for (index, event) in events.enumerated() {
            guard let pattern = event.string, Self.isPattern(pattern) else {
                reader.problem("events", at: index, Self.patternRule)
                continue
            }
            self.events.append(pattern)
        }
        if events.isEmpty { reader.problem("events", "Name at least one type; \"*\" is all.") }
        readForm(reader)
    }

    private static let encoderDefault: String? = "standard-webhooks"

    private mutating func readForm(_ reader: DocumentReader) {
        if let filter = reader.object("filter") {
            filter.allow(["lab", "experiment", "function"])
            self.filter = WebhookFilter(
                lab: filter.id("lab"),
                experiment: filter.text("experiment", max: Limits.resourceIDBytesMax),
                function: filter.text("function", max: Limits.stepNameBytesMax))
        }
        mode = reader.value("mode") ?? .orderedByKey
        if let batch = reader.object("batch") {
            batch.allow(["maxCount", "maxBytes"])
            batchCountMax = batch.count("maxCount", in: 1...Limits.webhookBatchCountMax)
            batchBytesMax = batch.count("maxBytes", in: 1...Limits.webhookBatchBytesMax)
        }
        for (index, network) in reader.array("allow", max: Limits.webhookNetworksMax).enumerated() {
            if let text = network.string {
                allow.append(text)
            } else {
                reader.problem("allow", at: index, "Give a network such as 10.0.0.0/8.")
            }
        }
        rateLimit = reader.rateLimit("rateLimit")
        switch reader.text("compression") {
        case nil, "none": break
        case "gzip": compressesBodies = true
        default: reader.problem("compression", "compression: use gzip or none.")
        }
        signature = reader.value("signature") ?? .hmac
        authorities = reader.text("authorities", max: Limits.webhookPEMBytesMax)
        certificate = reader.text("certificate", max: Limits.webhookPEMBytesMax)
    }

    private static let patternRule =
        "Name a type of event, such as AssignmentMade, or the start of some with *, such as "
        + "Experiment*; the types are \(LedgerEvent.types.joined(separator: ", "))."

    private static func isPattern(_ pattern: String) -> Bool {
        if pattern.hasSuffix("*") {
            return LedgerEvent.types.contains { $0.hasPrefix(pattern.dropLast()) }
        }
        return LedgerEvent.types.contains(pattern)
    }
}

extension DocumentReader {
    /// Requests per second.
    package func rateLimit(_ key: String) -> Double? {
        guard let limit = number(key) else { return nil }
        if limit >= Limits.webhookRateMin { return limit }
        problem(key, "\(key): give at least \(Limits.webhookRateMin) requests per second.")
        return nil
    }

    fileprivate func count(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = integer(key) else { return nil }
        guard let count = Int(exactly: value), range.contains(count) else {
            problem(key, "\(key): give \(range.lowerBound) to \(range.upperBound), not \(value).")
            return nil
        }
        return count
    }
}

// MARK: Reading events

extension WebhookChange {
    /// Nil where the type is none of a webhook's.
    init?(_ reader: EventReader) throws(EventDecodingError) {
        switch reader.type {
        case "WebhookCreated":
            self = .created(
                try reader.settings("settings"), secret: try reader.text("secret"),
                start: try reader.integer("start"))
        case "WebhookUpdated":
            self = .updated(
                before: try reader.settings("before"), after: try reader.settings("after"))
        case "WebhookSecretRotated":
            self = .secretRotated(
                secret: try reader.text("secret"),
                previousUntil: try reader.required("previousUntil", "give a time") {
                    $0.string.flatMap { Timestamp($0) }
                })
        case "WebhookPaused": self = .paused
        case "WebhookResumed": self = .resumed(from: try reader.text("from"))
        case "WebhookDisabled": self = .disabled(reason: try reader.text("reason"))
        case "WebhookRemoved": self = .removed(try reader.settings("settings"))
        case "WebhookReplayRequested": self = .replayRequested(try reader.replay())
        case "WebhookReplayCancelled":
            self = .replayCancelled(Int(try reader.integer("replay")))
        case "WebhookReplayCompleted":
            self = .replayCompleted(Int(try reader.integer("replay")))
        case "WebhookRedelivered":
            self = .redelivered(
                try reader.required("positions", "give a list of positions") { value in
                    value.array?.compactMap { $0.integer }
                })
        default: return nil
        }
    }
}

extension EventReader {
    fileprivate func settings(_ path: String) throws(EventDecodingError) -> WebhookSettings {
        let data = try inside(path).data
        let problems = Problems()
        let settings = WebhookSettings(DocumentReader(data, "/\(path)", problems))
        guard var settings, problems.list.isEmpty else {
            let problem = problems.list.first
            throw error(problem?.pointer ?? "/\(path)", problem?.detail ?? "is no webhook")
        }
        settings.headers = data["headers"]?.array?.compactMap { $0.string } ?? []
        settings.sealed = data["sealed"]?.string
        return settings
    }

    fileprivate func replay() throws(EventDecodingError) -> WebhookReplay {
        WebhookReplay(
            number: Int(try integer("replay")), from: try integer("from"),
            through: try integer("through"),
            rateLimit: try optional("rateLimit", "give a number") { $0.double },
            // The event's own time; whoever evolves the state sets it.
            requestedAt: .notGiven)
    }
}
