import time
from sync_assets.settlements import statement
from sync_assets.domain.statements import period
def test_perf(connection):
    N=800_000
    run=connection.exec_driver_sql
    t=time.time(); run('set local session_replication_role = replica')
    run(f"""insert into core.orders select 'us:'||n,'us',n::text,n::text,'paid','x','USD',false,
      timestamptz '2017-01-01'+ n*interval '39 seconds',null,now(),null,null,null,null,null, 90,10,0,8,10,0,108,0,1 from generate_series(1,{N}) n""")
    run(f"""insert into core.order_lines (line_ref,order_ref,kind,position,description,quantity,currency,subtotal_amount,net_amount,tax_amount)
      select 'us:'||n||':'||k,'us:'||n,case when k=4 then 'shipping' else 'product' end,k,'Tea',1,'USD',case when k=4 then 10 else 100.0/4 end,case when k=4 then 10 else 90.0/4 end,1 from generate_series(1,{N}) n, generate_series(1,4) k where k<4 or n%%2=0""")
    run(f"""insert into core.payments select 'us:'||n||':capture','capture','us:'||n,'us','stripe_us',108,'USD',null,null,null,null,timestamptz '2017-01-01'+ n*interval '39 seconds','order',false from generate_series(1,{N}) n""")
    run(f"""insert into core.settlement_lines (line_ref,provider,kind,currency,gross_amount,fee_amount,fee_tax_amount,net_amount,occurred_at,description,told_by,file_line)
      select 'stripe_us:'||n,'stripe_us',case when n<={N} then 'sale' else 'fee' end,'USD',108,3,0,105,timestamptz '2017-01-01'+ (n%%{N})*interval '39 seconds'+interval '2 days','d','file',n from generate_series(1,{N}+200000) n""")
    run(f"""insert into core.matches (match_id,provider,rule,reason,difference_amount,currency,matched_at,matched_by) select n,'stripe_us','exact','r',0,'USD',now(),'r' from generate_series(1,{N}+200000) n""")
    run(f"""insert into core.match_items select n,'settled','stripe_us:'||n,105,'USD' from generate_series(1,{N}+200000) n""")
    run(f"""insert into core.match_items select n,'expected','us:'||n||':capture',108,'USD' from generate_series(1,{N}) n""")
    for x in "orders order_lines payments settlement_lines matches match_items".split(): run(f"analyze core.{x}")
    print("loaded",time.time()-t)
    asked=[statement.Asked("stripe_us","2017-03",*period("2017-03").bounds("UTC"))]
    t=time.time(); statement.statements(connection, asked); print("month", time.time()-t)
    t=time.time(); n=statement.refresh(connection, lambda p:"UTC", ["2017-03"]); print("refresh", n, time.time()-t)
    t=time.time(); n=statement.statements(connection,[statement.Asked("stripe_us","2017",*period("2017").bounds("UTC"))]); print("year", time.time()-t)
    t=time.time(); n=statement.refresh(connection, lambda p:"UTC", [f"2017-{m:02}" for m in range(1,13)]); print("refresh year", n, time.time()-t)
