import Domain

/// Reading the log, retries and redeliveries for endpoints.
extension DispatcherThread {
    func feed(_ endpoint: Endpoint, _ now: Timestamp) {
        for lane in endpoint.laneOrder {
            while endpoint.wantsEvents(lane, now: now), !endpoint.reading.contains(lane),
                let position = endpoint.lanes[lane]?.readThrough,
                !log.isOnItsWay(after: position)
            {
                if endpoint.lanes[lane]?.pendingCount == 0 { endpoint.lengthenReadAhead(lane) }
                guard let block = log.block(after: position) else {
                    endpoint.reading.insert(lane)
                    log.request(
                        after: position, count: endpoint.readAhead(lane),
                        for: (endpoint.id, lane))
                    break
                }
                endpoint.read(block, lane: lane, now: now)
            }
        }
    }

    /// The number under which the loading of a lane's batch is noted.
    static func loading(_ lane: Int) -> Int { -2 - lane }

    func loadRetries(_ endpoint: Endpoint, _ now: Timestamp) {
        for lane in endpoint.laneOrder where !endpoint.reading.contains(Self.loading(lane)) {
            guard let (batch, positions) = endpoint.positionsToLoad(lane, now: now) else {
                continue
            }
            endpoint.reading.insert(Self.loading(lane))
            let (reader, inbox, id) = (dispatcher.reader, dispatcher.inbox, endpoint.id)
            inbox.post(
                from: { try await reader.read(positions) },
                as: { .loaded(webhook: id, lane: lane, batch: batch, $0) })
        }
    }

    func findRedeliveries(_ id: String, after position: Int64 = 0) {
        let (store, inbox) = (dispatcher.store, dispatcher.inbox)
        inbox.post(
            from: {
                try await store.requested(of: id, after: position, limit: Self.redeliveriesMax)
            },
            as: { .requested(webhook: id, $0) })
    }
}
