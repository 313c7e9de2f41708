extension Decider {
    /// Does what is wanted of an endpoint; what holds already records nothing.
    mutating func change(_ id: String, _ command: WebhookCommand) throws(Refusal) {
        if case .create(_, let settings, let secret, let start) = command {
            return try create(id, settings, secret, start)
        }
        guard let webhook = state.webhooks[id] else {
            throw Refusal(.notFound, "There is no webhook \(id); list them with GET /v1/webhooks.")
        }
        if let change = try webhook.change(command, now: now, head: nextPosition - 1) {
            record(.webhook(id, change))
        }
    }

    private mutating func create(
        _ id: String, _ settings: WebhookSettings, _ secret: String, _ start: WebhookStart
    ) throws(Refusal) {
        guard state.webhooks[id] == nil else {
            throw Refusal(
                .conflict, "There is a webhook \(id) already; update it, or choose another ID.")
        }
        guard state.webhooks.count < Limits.webhooksMax else {
            throw Refusal(
                .conflict, "There are \(Limits.webhooksMax) webhooks already; remove one first.")
        }
        let first: Int64
        switch start {
        case .now: first = nextPosition + 1
        case .position(let position):
            guard position <= nextPosition else {
                throw Refusal.invalid([
                    Problem("/from", "The log ends at position \(nextPosition - 1).")
                ])
            }
            first = max(1, position)
        }
        record(.webhook(id, .created(settings, secret: secret, start: first)))
    }
}

extension Webhook {
    /// What a command changes; nil where nothing does.
    fileprivate func change(
        _ command: WebhookCommand, now: Timestamp, head: Int64
    ) throws(Refusal) -> WebhookChange? {
        switch command {
        case .create: return nil
        case .update(let settings, let expected):
            guard version == expected else {
                var refusal = Refusal(
                    .versionMismatch,
                    "Webhook \(id) has changed since it was read; read it and try again.")
                refusal.actualVersion = version
                throw refusal
            }
            return settings == self.settings
                ? nil : .updated(before: self.settings, after: settings)
        case .rotateSecret(let secret):
            return .secretRotated(
                secret: secret,
                previousUntil: Timestamp(
                    microseconds: now.microseconds
                        + Int64(Limits.webhookRotationHours) * 3_600_000_000))
        case .pause: return try pause()
        case .resume: return isActive ? nil : .resumed(from: status.name)
        case .disable(let reason): return isActive ? .disabled(reason: reason) : nil
        case .remove: return .removed(settings)
        case .replay(let from, let through, let rateLimit):
            return try replay(from, min(through, head), rateLimit, now)
        case .cancelReplay(let number):
            return try running(number) ? .replayCancelled(number) : nil
        case .completeReplay(let number):
            return try running(number) ? .replayCompleted(number) : nil
        case .redeliver(let positions):
            return positions.isEmpty ? nil : .redelivered(positions)
        }
    }

    private func pause() throws(Refusal) -> WebhookChange? {
        switch status {
        case .active: return .paused
        case .paused: return nil
        case .disabled(let reason):
            throw Refusal(
                .conflict, "Webhook \(id) is disabled already (\(reason)), and gets nothing.")
        }
    }

    private func replay(
        _ from: Int64, _ through: Int64, _ rateLimit: Double?, _ now: Timestamp
    ) throws(Refusal) -> WebhookChange {
        guard from >= 1, from <= through else {
            throw Refusal(.invalid, "There are no events from \(from) to \(through) to replay.")
        }
        if let other = replays.first(where: { $0.status == .running }) {
            throw Refusal(
                .conflict,
                "Replay \(other.number) of webhook \(id) is running; cancel it or let it end first."
            )
        }
        return .replayRequested(
            WebhookReplay(
                number: replays.count + 1, from: from, through: through, rateLimit: rateLimit,
                requestedAt: now))
    }

    private func running(_ number: Int) throws(Refusal) -> Bool {
        guard let replay = replays.first(where: { $0.number == number }) else {
            throw Refusal(.notFound, "Webhook \(id) has no replay \(number).")
        }
        return replay.status == .running
    }
}
