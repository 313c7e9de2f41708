import Domain
import EventLog
import Logging

/// Which endpoints there are, and how they are to be delivered to.
extension DispatcherThread {
    func updateSettings() {
        let view = dispatcher.log.view
        guard view.changedPosition != settingsPosition else { return }
        let state = view.snapshot.state
        settingsPosition = state.changedPosition
        for webhook in state.webhooks.values {
            if let known = unusable[webhook.id], known.webhook == webhook { continue }
            if let endpoint = endpoints[webhook.id], endpoint.webhook == webhook,
                webhook.settings.filter.lab == nil
            {
                continue
            }
            update(webhook, state)
        }
        for id in endpoints.keys where state.webhooks[id] == nil { remove(id) }
        for id in unusable.keys where state.webhooks[id] == nil { unusable[id] = nil }
        // What is left of endpoints that were removed unseen would be another's of that name.
        let kept = Set(progress.map(\.webhook)).union(failureCounts.keys)
        for id in kept where state.webhooks[id] == nil { remove(id) }
        activateAll()
    }

    func update(_ webhook: Webhook, _ state: State) {
        let id = webhook.id
        do {
            let form = try EndpointForm(
                webhook, secrets: dispatcher.secrets, source: Dispatcher.source,
                timeout: dispatcher.timeout)
            let matcher = EventMatcher(
                webhook.settings, encoder: form.encoder, experiments: state.experiments)
            unusable[id] = nil
            if let known = endpoints[id],
                known.webhook.createdPosition == webhook.createdPosition
            {
                known.update(webhook, form: form, matcher: matcher)
                for replay in webhook.replays where replay.status != .running {
                    keeper.forget(id, lane: replay.number)
                }
            } else {
                if endpoints[id] != nil { remove(id) }
                add(Endpoint(webhook, form: form, matcher: matcher, progress: taking(webhook)))
            }
        } catch {
            if let known = endpoints[id] { putBy(known) }
            unusable[id] = (webhook, "\(error)")
            dispatcher.logger.error(
                "webhook can't be delivered to",
                metadata: ["webhook": "\(id)", "error": "\(error)"])
        }
    }

    func add(_ endpoint: Endpoint) {
        let id = endpoint.id
        endpoint.setAsideCount = failureCounts.removeValue(forKey: id) ?? 0
        endpoints[id] = endpoint
        if endpoint.setAsideCount > 0 { findRedeliveries(id) }
    }

    /// What was kept of an endpoint's progress before it was delivered to in this process.
    func taking(_ webhook: Webhook) -> [LaneProgress] {
        let found = progress.filter { $0.webhook == webhook.id }
        // It may be all that is left of another endpoint of that name.
        guard found.allSatisfy({ $0.createdPosition == webhook.createdPosition }) else {
            remove(webhook.id)
            return []
        }
        progress.removeAll { $0.webhook == webhook.id }
        return found
    }

    /// Keeps in mind where an endpoint stands that can't be delivered to for now.
    func putBy(_ endpoint: Endpoint) {
        progress += endpoint.progress
        failureCounts[endpoint.id] = endpoint.setAsideCount
        drop(endpoint.id)
    }

    private func drop(_ id: String) {
        guard let endpoint = endpoints.removeValue(forKey: id) else { return }
        active[ObjectIdentifier(endpoint)] = nil
    }

    func remove(_ id: String) {
        drop(id)
        progress.removeAll { $0.webhook == id }
        failureCounts[id] = nil
        keeper.forget(id, lane: nil)
    }
}
