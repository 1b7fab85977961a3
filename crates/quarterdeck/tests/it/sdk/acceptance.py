"""The official clients against a simulator: what a program written for the real providers relies on.

usage: python acceptance.py URL OpenAi|Anthropic [TEST ...]
"""

import json
import sys
import time
import unittest
import urllib.request

import anthropic
import httpx2
import openai

URL = ""

CALCULATOR = {
    "type": "object",
    "properties": {"expression": {"type": "string"}},
    "required": ["expression"],
}


def get(path):
    with urllib.request.urlopen(URL + path, timeout=10) as answer:
        return json.load(answer)


def order(**what):
    request = urllib.request.Request(
        URL + "/control", json.dumps(what).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def calls():
    return get("/ledger/summary")["calls"]


class OpenAi(unittest.TestCase):
    def client(self, **options):
        options = {"max_retries": 0, "timeout": 20, **options}
        return openai.OpenAI(base_url=URL + "/v1", api_key="sk-test", **options)

    def ask(self, prompt, client=None, **more):
        client = client or self.client()
        messages = [{"role": "system", "content": "You are Writer."}, {"role": "user", "content": prompt}]
        return client.chat.completions.create(model="demo", messages=messages, **more)

    def test_an_answer_in_one_piece(self):
        answer = self.ask("Write about tea")
        self.assertEqual((answer.object, answer.model), ("chat.completion", "demo"))
        self.assertTrue(answer.id.startswith("chatcmpl-"))
        choice = answer.choices[0]
        self.assertEqual((choice.index, choice.finish_reason, choice.message.role), (0, "stop", "assistant"))
        self.assertIn("tea", choice.message.content)
        self.assertIsNone(choice.message.refusal)
        usage = answer.usage
        self.assertGreater(usage.prompt_tokens, 0)
        self.assertGreater(usage.completion_tokens, 10)
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 0)
        self.assertEqual(usage.completion_tokens_details.reasoning_tokens, 0)

    def test_a_streamed_answer_is_the_same(self):
        whole = self.ask("Write about tea")
        text, reasons, usages = "", [], []
        for chunk in self.ask("Write about tea", stream=True, stream_options={"include_usage": True}):
            self.assertEqual(chunk.object, "chat.completion.chunk")
            self.assertEqual(chunk.id, whole.id)
            if chunk.usage:
                self.assertEqual(chunk.choices, [])
                usages.append(chunk.usage)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(reasons, ["stop"])
        self.assertEqual(usages, [whole.usage])
        without = list(self.ask("Write about tea", stream=True))
        self.assertTrue(all(chunk.usage is None for chunk in without))

    def test_the_stream_of_the_client_library_puts_the_same_message_together(self):
        whole = self.ask("Write about tea")
        messages = [{"role": "system", "content": "You are Writer."}, {"role": "user", "content": "Write about tea"}]
        with self.client().chat.completions.stream(model="demo", messages=messages) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            final = stream.get_final_completion()
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(final.choices[0].message.content, text)
        self.assertEqual(final.choices[0].finish_reason, "stop")

    def test_a_bound_and_a_stop_text_end_an_answer(self):
        answer = self.ask("Say [[sim: answer=one two three four five six]]", max_completion_tokens=3)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertLessEqual(answer.usage.completion_tokens, 3)
        answer = self.ask("Say [[sim: answer=one two three]]", stop=["two"])
        self.assertEqual((answer.choices[0].message.content, answer.choices[0].finish_reason), ("one ", "stop"))

    def test_a_refusal_is_one(self):
        message = self.ask("Go [[sim: fault=refusal]]").choices[0].message
        self.assertIsNone(message.content)
        self.assertIn("sorry", message.refusal)

    def test_tools_go_there_and_back(self):
        tools = [{"type": "function", "function": {"name": "calculator", "parameters": CALCULATOR}}]
        for stream in (False, True):
            messages = [{"role": "user", "content": "Use the calculator: 6 * 7"}]
            if stream:
                with self.client().chat.completions.stream(model="demo", messages=messages, tools=tools) as events:
                    choice = events.get_final_completion().choices[0]
            else:
                answer = self.client().chat.completions.create(model="demo", messages=messages, tools=tools)
                choice = answer.choices[0]
            self.assertEqual(choice.finish_reason, "tool_calls")
            self.assertIsNone(choice.message.content)
            call = choice.message.tool_calls[0]
            self.assertEqual((call.type, call.function.name), ("function", "calculator"))
            self.assertEqual(json.loads(call.function.arguments), {"expression": "6 * 7"})
            messages.append({
                "role": "assistant", "content": None,
                "tool_calls": [{"id": call.id, "type": "function",
                                "function": {"name": call.function.name, "arguments": call.function.arguments}}],
            })
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "42"})
            answer = self.client().chat.completions.create(model="demo", messages=messages, tools=tools)
            self.assertEqual(answer.choices[0].finish_reason, "stop")
            self.assertIn("`calculator` answered: 42", answer.choices[0].message.content)

    def test_each_status_is_its_exception(self):
        for status, kind in [
            (400, openai.BadRequestError),
            (401, openai.AuthenticationError),
            (402, openai.APIStatusError),
            (403, openai.PermissionDeniedError),
            (404, openai.NotFoundError),
            (408, openai.APIStatusError),
            (409, openai.ConflictError),
            (413, openai.APIStatusError),
            (422, openai.UnprocessableEntityError),
            (429, openai.RateLimitError),
            (498, openai.APIStatusError),
            (500, openai.InternalServerError),
            (502, openai.InternalServerError),
            (503, openai.InternalServerError),
            (504, openai.InternalServerError),
        ]:
            for stream in (False, True):
                with self.subTest(status=status, stream=stream), self.assertRaises(kind) as raised:
                    self.ask(f"Go [[sim: fault={status}]]", stream=stream)
                error = raised.exception
                self.assertEqual((type(error), error.status_code), (kind, status))
                self.assertEqual(error.body["message"], f"simulated error of status {status}")
                self.assertEqual(error.request_id, "req_sim")
        self.assertEqual(self.error("401").code, "invalid_api_key")
        self.assertEqual(self.error("404").code, "model_not_found")

    def error(self, fault):
        with self.assertRaises(openai.APIStatusError) as raised:
            self.ask(f"Go [[sim: fault={fault}]]")
        return raised.exception

    def test_limits_are_told_apart(self):
        limited = self.error("429 retry_after=7s")
        self.assertEqual((limited.code, limited.type), ("rate_limit_exceeded", "requests"))
        self.assertEqual(limited.response.headers["retry-after"], "7")
        self.assertEqual(limited.response.headers["retry-after-ms"], "7000")
        spent = self.error("spend_limit")
        self.assertIsInstance(spent, openai.RateLimitError)
        self.assertEqual(spent.code, "insufficient_quota")
        self.assertNotIn("retry-after", spent.response.headers)
        window = self.error("context_length")
        self.assertIsInstance(window, openai.BadRequestError)
        self.assertEqual((window.code, window.param), ("context_length_exceeded", "messages"))

    def test_headers_tell_what_the_limits_leave(self):
        client = openai.OpenAI(base_url=URL + "/v1", api_key="sk-limits", max_retries=0)
        left = []
        for _ in range(3):
            raw = client.chat.completions.with_raw_response.create(
                model="limited", messages=[{"role": "user", "content": "Go"}]
            )
            left.append(int(raw.headers["x-ratelimit-remaining-requests"]))
            self.assertEqual(raw.headers["x-ratelimit-limit-requests"], "3")
        self.assertEqual(left, [2, 1, 0])
        with self.assertRaises(openai.RateLimitError) as raised:
            client.chat.completions.create(model="limited", messages=[{"role": "user", "content": "Go"}])
        wait = float(raised.exception.response.headers["retry-after"])
        self.assertTrue(1 <= wait <= 20, wait)

    def test_the_connection_breaks_as_it_should(self):
        with self.assertRaises(openai.APIConnectionError):
            self.ask("Go [[sim: fault=reset]]")
        with self.assertRaises(openai.APITimeoutError):
            self.ask("Go [[sim: fault=hang]]", self.client(timeout=0.3))
        with self.assertRaises(openai.APIConnectionError):
            list(self.ask("Write about tea [[sim: fault=cut]]", stream=True))
        with self.assertRaises(openai.APIError) as raised:
            list(self.ask("Write about tea [[sim: fault=error_event]]", stream=True))
        self.assertIn("529", raised.exception.message)

    def test_odd_events_do_no_harm(self):
        for fault in ("duplicate_events", "unknown_events"):
            chunks = self.ask(f"Say [[sim: answer=tea time]][[sim: fault={fault}]]", stream=True)
            text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices or [])
            self.assertEqual(text, "tea time", fault)

    def test_its_own_retry_gets_over_one_429(self):
        before = calls()
        began = time.monotonic()
        answer = self.ask("Go [[sim: fault=429 times=1 retry_after=0.2s]] once", self.client(max_retries=2))
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(calls() - before, 2)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_models_are_listed(self):
        self.assertEqual([model.id for model in self.client().models.list()], ["demo"])

    def test_an_outage_is_felt_and_passes(self):
        order(outage={"kind": "503"}, seconds=60)
        with self.assertRaises(openai.InternalServerError):
            self.ask("Go")
        order(outage=None)
        self.ask("Go")


class Anthropic(unittest.TestCase):
    def client(self, **options):
        options = {"max_retries": 0, "timeout": 20, **options}
        return anthropic.Anthropic(base_url=URL, api_key="sk-ant-test", **options)

    def ask(self, prompt, client=None, **more):
        client = client or self.client()
        more = {"max_tokens": 500, "system": "You are Writer.", **more}
        return client.messages.create(model="demo", messages=[{"role": "user", "content": prompt}], **more)

    def test_an_answer_in_one_piece(self):
        answer = self.ask("Write about tea")
        self.assertEqual((answer.type, answer.role, answer.model), ("message", "assistant", "demo"))
        self.assertTrue(answer.id.startswith("msg_"))
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("end_turn", None))
        self.assertEqual([block.type for block in answer.content], ["text"])
        self.assertIn("tea", answer.content[0].text)
        self.assertGreater(answer.usage.input_tokens, 0)
        self.assertGreater(answer.usage.output_tokens, 10)
        self.assertEqual((answer.usage.cache_read_input_tokens, answer.usage.service_tier), (0, "standard"))
        self.assertEqual(answer._request_id, "req_sim")

    def test_a_streamed_answer_is_the_same(self):
        whole = self.ask("Write about tea")
        kinds = [event.type for event in self.ask("Write about tea", stream=True)]
        self.assertEqual(kinds[:2], ["message_start", "content_block_start"])
        self.assertEqual(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
        messages = [{"role": "user", "content": "Write about tea"}]
        with self.client().messages.stream(
            model="demo", max_tokens=500, system="You are Writer.", messages=messages
        ) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, whole.content[0].text)
        self.assertEqual((final.id, final.stop_reason), (whole.id, "end_turn"))
        self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)
        self.assertEqual(final.usage.input_tokens, whole.usage.input_tokens)

    def test_a_bound_and_a_stop_text_end_an_answer(self):
        answer = self.ask("Say [[sim: answer=one two three four five six]]", max_tokens=3)
        self.assertEqual(answer.stop_reason, "max_tokens")
        self.assertLessEqual(answer.usage.output_tokens, 3)
        answer = self.ask("Say [[sim: answer=one two three]]", stop_sequences=["two", "three"])
        self.assertEqual((answer.content[0].text, answer.stop_reason), ("one ", "stop_sequence"))
        self.assertEqual(answer.stop_sequence, "two")

    def test_a_refusal_is_one(self):
        answer = self.ask("Go [[sim: fault=refusal]]")
        self.assertEqual((answer.stop_reason, answer.content), ("refusal", []))
        self.assertEqual(answer.stop_details.category, "cyber")

    def test_tools_go_there_and_back(self):
        tools = [{"name": "calculator", "description": "computes", "input_schema": CALCULATOR}]
        for stream in (False, True):
            messages = [{"role": "user", "content": "Use the calculator: 6 * 7"}]
            if stream:
                with self.client().messages.stream(
                    model="demo", max_tokens=500, messages=messages, tools=tools
                ) as events:
                    answer = events.get_final_message()
            else:
                answer = self.client().messages.create(model="demo", max_tokens=500, messages=messages, tools=tools)
            self.assertEqual(answer.stop_reason, "tool_use")
            call = answer.content[0]
            self.assertEqual((call.type, call.name, call.input), ("tool_use", "calculator", {"expression": "6 * 7"}))
            messages.append({"role": "assistant", "content": answer.content})
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "42"}
            messages.append({"role": "user", "content": [result]})
            answer = self.client().messages.create(model="demo", max_tokens=500, messages=messages, tools=tools)
            self.assertEqual(answer.stop_reason, "end_turn")
            self.assertIn("`calculator` answered: 42", answer.content[0].text)

    def test_each_status_is_its_exception(self):
        for status, name, kind in [
            (400, "BadRequestError", "invalid_request_error"),
            (401, "AuthenticationError", "authentication_error"),
            (402, "PaymentRequiredError", "billing_error"),
            (403, "PermissionDeniedError", "permission_error"),
            (404, "NotFoundError", "not_found_error"),
            (409, "ConflictError", "conflict_error"),
            (413, "ContentTooLargeError", "request_too_large"),
            (429, "RateLimitError", "rate_limit_error"),
            (500, "InternalServerError", "api_error"),
            (503, "ServiceUnavailableError", "overloaded_error"),
            (504, "GatewayTimeoutError", "timeout_error"),
            (529, "OverloadedError", "overloaded_error"),
        ]:
            for stream in (False, True):
                with self.subTest(status=status, stream=stream), self.assertRaises(anthropic.APIStatusError) as raised:
                    self.ask(f"Go [[sim: fault={status}]]", stream=stream)
                error = raised.exception
                self.assertEqual((type(error).__name__, error.status_code, error.type), (name, status, kind))
                self.assertEqual(error.body["error"]["message"], f"simulated error of status {status}")
                self.assertEqual(error.request_id, "req_sim")

    def error(self, fault):
        with self.assertRaises(anthropic.APIStatusError) as raised:
            self.ask(f"Go [[sim: fault={fault}]]")
        return raised.exception

    def test_limits_are_told_apart(self):
        limited = self.error("429 retry_after=7s")
        self.assertIsInstance(limited, anthropic.RateLimitError)
        self.assertEqual(limited.response.headers["retry-after"], "7")
        spent = self.error("spend_limit")
        self.assertIsInstance(spent, anthropic.RateLimitError)
        self.assertEqual(spent.body["error"]["details"]["error_code"], "enforced_spend_limit_reached")
        self.assertNotIn("retry-after", spent.response.headers)
        window = self.error("context_length")
        self.assertIsInstance(window, anthropic.BadRequestError)
        self.assertIn("prompt is too long", window.body["error"]["message"])

    def test_headers_tell_what_the_limits_leave(self):
        client = anthropic.Anthropic(base_url=URL, api_key="sk-ant-limits", max_retries=0)
        left = []
        for _ in range(3):
            raw = client.messages.with_raw_response.create(
                model="limited", max_tokens=100, messages=[{"role": "user", "content": "Go"}]
            )
            headers = raw.headers
            left.append(int(headers["anthropic-ratelimit-requests-remaining"]))
            self.assertEqual(headers["anthropic-ratelimit-requests-limit"], "3")
            self.assertRegex(headers["anthropic-ratelimit-requests-reset"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(left, [2, 1, 0])
        with self.assertRaises(anthropic.RateLimitError) as raised:
            client.messages.create(model="limited", max_tokens=100, messages=[{"role": "user", "content": "Go"}])
        wait = float(raised.exception.response.headers["retry-after"])
        self.assertTrue(1 <= wait <= 20, wait)

    def test_the_connection_breaks_as_it_should(self):
        with self.assertRaises(anthropic.APIConnectionError):
            self.ask("Go [[sim: fault=reset]]")
        with self.assertRaises(anthropic.APITimeoutError):
            self.ask("Go [[sim: fault=hang]]", self.client(timeout=0.3))
        with self.assertRaises(httpx2.TransportError):
            list(self.ask("Write about tea [[sim: fault=cut]]", stream=True))
        with self.assertRaises(anthropic.APIStatusError) as raised:
            list(self.ask("Write about tea [[sim: fault=error_event]]", stream=True))
        self.assertEqual(raised.exception.body["error"]["type"], "overloaded_error")

    def test_odd_events_do_no_harm(self):
        for fault in ("duplicate_events", "unknown_events"):
            prompt = f"Say [[sim: answer=tea time]][[sim: fault={fault}]]"
            messages = [{"role": "user", "content": prompt}]
            with self.client().messages.stream(model="demo", max_tokens=500, messages=messages) as stream:
                self.assertEqual("".join(stream.text_stream), "tea time", fault)

    def test_its_own_retry_gets_over_one_429(self):
        before = calls()
        began = time.monotonic()
        answer = self.ask("Go [[sim: fault=429 times=1 retry_after=0.2s]] once", self.client(max_retries=2))
        self.assertEqual(answer.stop_reason, "end_turn")
        self.assertEqual(calls() - before, 2)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_models_are_listed(self):
        self.assertEqual([model.id for model in self.client().models.list()], ["demo"])


if __name__ == "__main__":
    URL = sys.argv[1]
    unittest.main(argv=["acceptance", "-v", *sys.argv[2:]])
