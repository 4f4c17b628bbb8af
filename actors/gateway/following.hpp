// `GET …/output?follow=1`: which attempt is followed, from where, and what its followers are told of the
// task. Reading and sending are the matter of services/streaming.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "services/http/http_message.hpp"
#include "services/http/http_responder.hpp"

#include <string>

namespace task_runner {

/// Whether the query asks to follow.
result<bool> decode_follow(const http_request& request);

/// Answers with the output of a task while it is written, as server-sent events.
void follow_output(const gateway_pointer& shared, const http_request& request,
                   const http_responder& responder);

/// Finds out what has become of a task, for those who follow its output. Never blocks.
void look_up_followed(const gateway_pointer& shared, const std::string& task_id);

} // namespace task_runner
