import CCurl
import Glibc

/// Sends many requests at once from one thread, over HTTP/1.1, and keeps connections between them.
///
/// Each `start` sends its request at most once. No redirect is followed, no proxy taken from the
/// environment, and no cookie kept. It belongs to the thread that uses it; only the waker is for
/// others. The work per event does not grow with the transfers that wait for an answer.
package final class MultiTransfer {
    /// Makes a `run` that waits return, from whatever thread.
    package let waker = Waker()
    private let multi: UnsafeMutableRawPointer
    private let sockets: SocketPoller
    private let emptyPool = EmptyConnectionPool()
    private let idleTransfersPerTargetMax: Int
    private let idleCount: IdleCount
    private var transfers: [UInt64: TargetTransfer] = [:]
    /// Outcomes that are known without a transfer.
    private var refusals: [(id: UInt64, error: CurlError)] = []
    /// Transfers whose end libcurl has reported, and which are not handed out yet.
    private var finished: [TargetTransfer] = []

    /// Makes an engine without transfers.
    ///
    /// - Parameters:
    ///   - idleConnectionsMax: How many connections may be open, to all targets together and those
    ///     in use included, for one whose transfer ends to be kept.
    ///   - idleTransfersPerTargetMax: How many of libcurl's handles each target keeps between
    ///     transfers.
    ///   - idleTransfersMax: How many all targets keep together; each takes some 16 KiB.
    package init(
        idleConnectionsMax: Int = 4_096, idleTransfersPerTargetMax: Int = 4,
        idleTransfersMax: Int = 1_024
    ) {
        multi = EasyHandle.make(curl_multi_init)
        sockets = SocketPoller(waker)
        self.idleTransfersPerTargetMax = idleTransfersPerTargetMax
        idleCount = IdleCount(max: idleTransfersMax)
        curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, idleConnectionsMax)
        curl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
        setCallbacks()
    }

    deinit {
        for transfer in transfers.values {
            curl_multi_remove_handle(multi, transfer.handle.pointer)
        }
        curl_multi_cleanup(multi)
    }

    /// How many transfers were started whose outcome has not been handed out.
    package var inFlight: Int { transfers.count + refusals.count }

    /// Begins to send `body` to the target; a later `run` hands out the outcome with the ID, which
    /// no other transfer in flight may have.
    ///
    /// - Parameters:
    ///   - url: Where to, instead of the target's own URL: the same place, with another path or
    ///     query.
    ///   - method: Whatever it is, the answer is read as one to a POST; so it must not be HEAD.
    package func start(
        _ target: Target, url: String? = nil, method: String = "POST", headers: [Header],
        body: RequestBody, id: UInt64
    ) {
        precondition(transfers[id] == nil, "transfer \(id) is in flight already")
        if let reason = target.reasonNotToSend(to: url) ?? Header.reasonNotToSend(headers) {
            refusals.append((id, CurlError(kind: .invalidRequest, description: reason)))
            return
        }
        let transfer = target.takeIdle() ?? TargetTransfer(target, sockets)
        transfer.prepare(
            target, url: url, method: method, headers: headers, body: body, id: id)
        if let error = transfer.setupError {
            refusals.append((id, error))
            return
        }
        transfers[id] = transfer
        let code = curl_multi_add_handle(multi, transfer.handle.pointer)
        precondition(code == CURLM_OK, "libcurl did not take a transfer")
    }

    /// Ends a transfer without an outcome; if its request is on its way already, it may arrive.
    package func cancel(_ id: UInt64) {
        refusals.removeAll { $0.id == id }
        if let transfer = transfers.removeValue(forKey: id) {
            release(transfer)
        }
    }

    /// Works on the sockets that are ready, and hands out the transfers that have ended.
    ///
    /// If there is nothing to do at first, it waits until a socket is ready, libcurl's own time has
    /// come, somebody wakes it or the timeout (nil: none) is over; it then returns even if no
    /// transfer has ended. `ended` may start and cancel transfers, but not run.
    package func run(timeout: Duration?, _ ended: (UInt64, Outcome) -> Void) {
        workOnTimers()
        collectFinished()
        let isWaiting = finished.isEmpty && refusals.isEmpty
        sockets.wait(timeout: isWaiting ? timeout : .zero) { socket, bits in
            var running = Int32(0)
            curl_multi_socket_action(multi, socket, bits, &running)
        }
        workOnTimers()
        collectFinished()
        handOutRefusals(ended)
        handOutFinished(ended)
    }

    /// Lets libcurl begin what was started and end what takes too long.
    private func workOnTimers() {
        guard sockets.takeDueTimer() else { return }
        var running = Int32(0)
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running)
    }

    /// Reads all that libcurl has to report first: taking a handle out while reports are left
    /// makes it search them all.
    private func collectFinished() {
        var left = Int32(0)
        while let message = curl_multi_info_read(multi, &left) {
            var context: UnsafeMutableRawPointer?
            curl_get_pointer(message.pointee.easy_handle, CURLINFO_PRIVATE, &context)
            let transfer = TargetTransfer.at(context)
            transfer.code = message.pointee.data.result
            finished.append(transfer)
        }
    }

    private func handOutRefusals(_ ended: (UInt64, Outcome) -> Void) {
        while !refusals.isEmpty {
            let (id, error) = refusals.removeFirst()
            ended(id, Outcome(error: error))
        }
    }

    private func handOutFinished(_ ended: (UInt64, Outcome) -> Void) {
        let batch = finished
        finished.removeAll(keepingCapacity: true)
        for transfer in batch {
            // Without a code it has been cancelled meanwhile, and may serve another request.
            guard let code = transfer.code else { continue }
            let id = transfer.id
            let outcome = transfer.outcome(code)
            transfers[id] = nil
            release(transfer)
            ended(id, outcome)
        }
    }

    private func release(_ transfer: TargetTransfer) {
        emptyPool.hideLastConnection(of: transfer.handle)
        curl_multi_remove_handle(multi, transfer.handle.pointer)
        transfer.finish()?.keepIdle(
            transfer, atMost: idleTransfersPerTargetMax, idleCount)
    }

    /// The context of both callbacks is the poller, which outlives the multi handle.
    private func setCallbacks() {
        let context = Unmanaged.passUnretained(sockets).toOpaque()
        let onSocket: curl_socket_callback = { _, socket, poll, context, _ in
            SocketPoller.at(context).watch(socket, poll)
            return 0
        }
        let onTimer: curl_multi_timer_callback = { _, milliseconds, context in
            SocketPoller.at(context).setTimer(milliseconds: milliseconds)
            return 0
        }
        curl_multi_set_socket_callback(multi, onSocket, context)
        curl_multi_set_timer_callback(multi, onTimer, context)
    }
}
